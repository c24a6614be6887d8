#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "runtime/host/settings.h"
#include "runtime/nats/connection.h"

namespace cutover::cli {

// The JetStream API for commands that only look. One thread.
class JetStream {
 public:
  // Waits for the connection, at most nats.timeout. Throws BrokerError naming servers and cause.
  explicit JetStream(const Settings& settings);

  // One question, such as INFO or STREAM.INFO.CORE.
  //   returns  the answer; nullopt when there is no such stream or consumer
  //   throws   BrokerError for every other refusal
  std::optional<nlohmann::json> ask(const std::string& subject, const nlohmann::json& question = nullptr);

  Connection& connection() { return connection_; }

 private:
  Connection connection_;
  std::chrono::milliseconds timeout_;
};

}  // namespace cutover::cli
