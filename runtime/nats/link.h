#pragma once

// Handles of the client library. Only runtime/nats/*.cpp include this.

#include <nats/nats.h>

#include <memory>
#include <mutex>
#include <vector>

#include "runtime/nats/connection.h"

namespace cutover {

struct MessageDeleter {
  void operator()(natsMsg* message) const { natsMsg_Destroy(message); }
};
using NatsMessage = std::unique_ptr<natsMsg, MessageDeleter>;

struct OptionsDeleter {
  void operator()(natsOptions* options) const { natsOptions_Destroy(options); }
};
using NatsOptions = std::unique_ptr<natsOptions, OptionsDeleter>;

// One life of a connection, with its subscriptions.
struct Connection::Link {
  explicit Link(natsConnection* connection) : handle(connection) {}
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  natsConnection* const handle;

  // A subscription without callback and without limits of its own: whoever subscribes bounds what is sent to
  // it. Throws BrokerError.
  natsSubscription* subscribe(const std::string& subject);
  // Ends interest. The object stays until the connection is closed: the library's reading thread of 3.4.1 may
  // still hold it, and crashes when it is freed under it.
  void retire(natsSubscription* subscription);

 private:
  std::mutex mutex_;
  std::vector<natsSubscription*> subscriptions_;
};

// A subject that nobody else uses: "_INBOX.<22 random characters>".
std::string new_inbox();

// "Timeout (details of this thread's last error)".
std::string describe(natsStatus status);

}  // namespace cutover
