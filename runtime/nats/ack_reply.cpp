#include "runtime/nats/ack_reply.h"

#include <array>
#include <charconv>

namespace cutover {
namespace {

bool number(std::string_view text, std::uint64_t& value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

std::optional<AckReply> parse_ack_reply(std::string_view subject) {
  constexpr std::string_view kPrefix = "$JS.ACK.";
  constexpr std::size_t kOldTokens = 7, kNewTokens = 9;  // behind the prefix
  if (!subject.starts_with(kPrefix)) return std::nullopt;

  std::array<std::string_view, kNewTokens + 1> tokens;
  std::size_t count = 0;
  for (std::size_t from = kPrefix.size(); count < tokens.size();) {
    std::size_t dot = subject.find('.', from);
    tokens[count++] = subject.substr(from, dot - from);
    if (dot == std::string_view::npos) break;
    from = dot + 1;
  }
  if (count != kOldTokens && count < kNewTokens) return std::nullopt;
  const std::string_view* token = tokens.data() + (count == kOldTokens ? 0 : 2);

  AckReply reply;
  std::uint64_t nanoseconds = 0;
  reply.stream = token[0];
  reply.consumer = token[1];
  if (!number(token[2], reply.deliveries) || !number(token[3], reply.stream_sequence) ||
      !number(token[4], reply.consumer_sequence) || !number(token[5], nanoseconds) ||
      !number(token[6], reply.pending))
    return std::nullopt;
  reply.published_at = Instant(std::chrono::microseconds(static_cast<std::int64_t>(nanoseconds / 1000)));
  return reply;
}

}  // namespace cutover
