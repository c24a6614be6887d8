#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "runtime/nats/connection.h"
#include "runtime/nats/stream_message.h"

namespace cutover {

// The JetStream API refused something.
class ApiRefusal : public BrokerError {
 public:
  ApiRefusal(const std::string& what, int api_code) : BrokerError(what), code(api_code) {}
  int code;  // JetStream's err_code, 10052 for instance
};

// Streams and consumers of one account, as the API's own JSON: what `nats stream info --json` prints and what
// the files below streams/ hold. Each call asks the server, and takes at most the timeout. Throws BrokerError
// when the server does not answer, ApiRefusal when it refuses.
class StreamAdmin {
 public:
  // The connection outlives the admin.
  explicit StreamAdmin(Connection& connection, std::chrono::milliseconds timeout = std::chrono::seconds(5));

  // Info objects: {"config": {...}, "created": "...", "state": {...}}.
  std::vector<nlohmann::json> streams();
  // deleted: {"state": {"deleted": [...]}} names what was deleted from its middle.
  std::optional<nlohmann::json> stream(const std::string& name, bool deleted = false);
  nlohmann::json create_stream(const nlohmann::json& config);
  nlohmann::json update_stream(const nlohmann::json& config);
  bool delete_stream(const std::string& name);  // false: there was none

  // nullopt: there is no such message (any more).
  std::optional<StreamMessage> message(const std::string& stream, std::uint64_t sequence);

  // Info objects: {"name": "...", "config": {...}, "delivered": {...}, "ack_floor": {...}, "num_pending": n,
  // ...}.
  std::vector<nlohmann::json> consumers(const std::string& stream);
  std::optional<nlohmann::json> consumer(const std::string& stream, const std::string& name);
  nlohmann::json put_consumer(const std::string& stream,
                              const nlohmann::json& config);  // creates or updates a durable
  bool delete_consumer(const std::string& stream, const std::string& name);

  const Connection& connection() const { return connection_; }

 private:
  nlohmann::json ask(const std::string& subject, const nlohmann::json& body);
  std::optional<nlohmann::json> find(const std::string& subject, const nlohmann::json& body = nullptr);
  bool remove(const std::string& subject);
  std::vector<nlohmann::json> list(const std::string& subject, const char* field);

  Connection& connection_;
  const std::chrono::milliseconds timeout_;
};

}  // namespace cutover
