#include "runtime/nats/publish_ack.h"

#include <charconv>

#include "runtime/nats/api.h"
#include "runtime/nats/base64.h"
#include "runtime/nats/header_block.h"

namespace cutover {
namespace {

// What nearly every answer looks like: {"stream":"CORE", "seq":12} or {"stream":"CORE", "seq":12,"duplicate":
// true}.
bool read_usual_ack(std::string_view text, PublishAck& ack) {
  auto skip = [&](std::string_view part) {
    if (!text.starts_with(part)) return false;
    text.remove_prefix(part.size());
    return true;
  };
  if (!skip("{\"stream\":\"")) return false;
  std::size_t quote = text.find_first_of("\"\\");
  if (quote == std::string_view::npos || text[quote] != '"') return false;
  ack.stream = text.substr(0, quote);
  text.remove_prefix(quote + 1);
  if (!skip(", \"seq\":")) return false;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ack.sequence);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  ack.duplicate = skip(",\"duplicate\": true");
  return text == "}";
}

}  // namespace

PublishAck parse_publish_ack(std::string_view text) {
  PublishAck ack;
  if (read_usual_ack(text, ack)) {
    ack.stored = true;
    return ack;
  }
  ack = {};
  ApiAnswer answer = parse_answer(text);
  if (answer.error) {
    ack.error = answer.error->description;
    return ack;
  }
  auto stream = answer.body.find("stream");
  auto sequence = answer.body.find("seq");
  if (stream == answer.body.end() || !stream->is_string() || sequence == answer.body.end() ||
      !sequence->is_number_unsigned()) {
    ack.error =
        "an answer that is no publish ack; does something else than JetStream answer on this subject?";
    return ack;
  }
  ack.stored = true;
  ack.stream = *stream;
  ack.sequence = *sequence;
  if (auto duplicate = answer.body.find("duplicate"); duplicate != answer.body.end())
    ack.duplicate = *duplicate == true;
  return ack;
}

std::optional<std::string> parse_message_id(std::string_view text) {
  // Only `hdrs` is looked for, since the payload beside it can be large. Inside a JSON string these quotes
  // would be escaped, so they are found where they mean it.
  constexpr std::string_view kHeaders = "\"hdrs\":\"";
  if (std::size_t at = text.find(kHeaders); at != std::string_view::npos) {
    std::string block = decode_base64(text.substr(at + kHeaders.size()));
    for (const Header& header : parse_headers(block))
      if (header.name == "Nats-Msg-Id") return std::string(header.value);
    return std::nullopt;
  }
  ApiAnswer answer = parse_answer(text);
  if (answer.error && answer.error->err_code == kNoMessageFound) return std::nullopt;
  if (answer.error) throw BrokerError(answer.error->description);
  return std::nullopt;
}

}  // namespace cutover
