#pragma once

#include <string>

#include "runtime/host/settings.h"
#include "runtime/nats/connection.h"
#include "runtime/postgres/connection.h"

namespace cutover {

// The settings as the two clients want them. `name` is what their servers show in lists of connections.
inline ConnectionOptions nats_options(const Settings& settings, const std::string& name) {
  ConnectionOptions options;
  options.servers = settings.nats.servers;
  options.name = name;
  options.credentials_file = settings.nats.credentials_file;
  options.nkey_seed_file = settings.nats.nkey_seed_file;
  options.tls_ca_file = settings.nats.tls_ca;
  options.tls_certificate_file = settings.nats.tls_cert;
  options.tls_key_file = settings.nats.tls_key;
  options.timeout = settings.nats.timeout;
  return options;
}

inline postgres::ConnectionOptions postgres_options(const Settings& settings, const std::string& name) {
  postgres::ConnectionOptions options;
  options.url = settings.postgres.url;
  options.password = settings.postgres.password;
  options.application_name = name;
  options.connect_timeout = settings.postgres.connect_timeout;
  options.statement_timeout = settings.postgres.statement_timeout;
  return options;
}

}  // namespace cutover
