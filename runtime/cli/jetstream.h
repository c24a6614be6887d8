#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "runtime/host/settings.h"
#include "runtime/nats/stream_admin.h"

namespace cutover::cli {

// A connection for commands that look at streams and consumers. One thread.
class JetStream {
 public:
  // Waits for the connection, at most nats.timeout. Throws BrokerError naming servers and cause.
  explicit JetStream(const Settings& settings);

  Connection& connection() { return connection_; }
  StreamAdmin& admin() { return admin_; }

  // A question that StreamAdmin does not know, such as INFO. Throws BrokerError, also when it is refused.
  nlohmann::json ask(const std::string& subject, const nlohmann::json& question = nullptr);

 private:
  Connection connection_;
  StreamAdmin admin_;
  std::chrono::milliseconds timeout_;
};

}  // namespace cutover::cli
