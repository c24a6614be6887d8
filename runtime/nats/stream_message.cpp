#include "runtime/nats/stream_message.h"

#include "runtime/nats/api.h"
#include "runtime/nats/base64.h"
#include "runtime/nats/header_block.h"

namespace cutover {

std::string_view StreamMessage::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (key == name) return value;
  return {};
}

StreamMessage parse_stream_message(const nlohmann::json& answer) {
  const auto found = answer.find("message");
  if (found == answer.end() || !found->is_object())
    throw BrokerError("the server's answer holds no message: " + answer.dump().substr(0, 200));
  StreamMessage message;
  try {
    message.sequence = found->value("seq", std::uint64_t{0});
    message.subject = found->value("subject", std::string());
    message.data = decode_base64(found->value("data", std::string()));
    const std::string block = decode_base64(found->value("hdrs", std::string()));
    for (const Header& header : parse_headers(block)) message.headers.emplace_back(header.name, header.value);
    if (const auto time = parse_api_time(found->value("time", std::string()))) message.published_at = *time;
  } catch (const nlohmann::json::exception& error) {
    throw BrokerError(std::string("the server's answer holds no message: ") + error.what());
  }
  return message;
}

}  // namespace cutover
