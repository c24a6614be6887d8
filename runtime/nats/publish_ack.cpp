#include "runtime/nats/publish_ack.h"

#include <simdjson.h>

#include "runtime/nats/header_block.h"

namespace cutover {
namespace {

using simdjson::ondemand::document;
using simdjson::ondemand::object;

constexpr int kNoMessageFound = 10037;

simdjson::ondemand::parser& parser() {
  thread_local simdjson::ondemand::parser one;
  return one;
}

simdjson::padded_string& padded(std::string_view text) {
  thread_local simdjson::padded_string copy;
  copy = simdjson::padded_string(text);
  return copy;
}

// Calls `field(name, value)` for each field; false when the text is no JSON object.
template <typename Value, typename Call>
bool for_fields(Value& value, Call call) {
  object fields;
  if (value.get_object().get(fields)) return false;
  for (auto field : fields) {
    std::string_view name;
    simdjson::ondemand::value content;
    if (field.unescaped_key().get(name) || field.value().get(content)) return false;
    if (!call(name, content)) return false;
  }
  return true;
}

struct Refusal {
  std::int64_t err_code = 0;
  std::string description;
};

bool read_refusal(simdjson::ondemand::value& value, Refusal& refusal) {
  return for_fields(value, [&](std::string_view name, simdjson::ondemand::value& content) {
    std::string_view text;
    if (name == "err_code") return !content.get_int64().get(refusal.err_code);
    if (name == "description" && !content.get_string().get(text)) refusal.description = text;
    return true;
  });
}

// Standard alphabet; stops at padding or at anything else.
std::string decode_base64(std::string_view text) {
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    std::uint32_t value = 0;
    if (c >= 'A' && c <= 'Z') value = static_cast<std::uint32_t>(c - 'A');
    else if (c >= 'a' && c <= 'z') value = static_cast<std::uint32_t>(c - 'a' + 26);
    else if (c >= '0' && c <= '9') value = static_cast<std::uint32_t>(c - '0' + 52);
    else if (c == '+') value = 62;
    else if (c == '/') value = 63;
    else break;
    bits = (bits << 6) | value;
    if ((count += 6) >= 8) bytes += static_cast<char>((bits >> (count -= 8)) & 0xFF);
  }
  return bytes;
}

}  // namespace

PublishAck parse_publish_ack(std::string_view text) {
  PublishAck ack;
  std::optional<Refusal> refusal;
  document answer;
  bool read = !parser().iterate(padded(text)).get(answer) &&
              for_fields(answer, [&](std::string_view name, simdjson::ondemand::value& content) {
                std::string_view stream;
                if (name == "seq") return !content.get_uint64().get(ack.sequence);
                if (name == "duplicate") return !content.get_bool().get(ack.duplicate);
                if (name == "stream" && !content.get_string().get(stream)) ack.stream = stream;
                if (name == "error") return read_refusal(content, refusal.emplace());
                return true;
              });
  if (!read || (!refusal && (ack.stream.empty() || ack.sequence == 0))) {
    ack = {};
    ack.error = "an answer that is no publish ack; does something else than JetStream answer on this subject?";
  } else if (refusal) {
    ack.error = refusal->description.empty() ? "refused without a reason" : refusal->description;
  } else {
    ack.stored = true;
  }
  return ack;
}

std::optional<std::string> parse_message_id(std::string_view text) {
  std::optional<Refusal> refusal;
  std::string block;
  document answer;
  bool read = !parser().iterate(padded(text)).get(answer) &&
              for_fields(answer, [&](std::string_view name, simdjson::ondemand::value& content) {
                if (name == "error") return read_refusal(content, refusal.emplace());
                if (name != "message") return true;
                return for_fields(content, [&](std::string_view field, simdjson::ondemand::value& inner) {
                  std::string_view encoded;
                  if (field == "hdrs" && !inner.get_string().get(encoded)) block = decode_base64(encoded);
                  return true;
                });
              });
  if (!read) throw BrokerError("the server sent an answer that is not JSON");
  if (refusal && refusal->err_code == kNoMessageFound) return std::nullopt;
  if (refusal) throw BrokerError(refusal->description.empty() ? "refused without a reason" : refusal->description);
  for (const Header& header : parse_headers(block))
    if (header.name == "Nats-Msg-Id") return std::string(header.value);
  return std::nullopt;
}

}  // namespace cutover
