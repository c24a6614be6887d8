#include "runtime/observe/trace.h"

#include <fmt/format.h>

namespace cutover {
namespace {

// Lower-case hexadecimal only, as the standard demands.
std::optional<std::uint64_t> parse_hex(std::string_view digits) {
  std::uint64_t value = 0;
  for (const char c : digits) {
    if (c >= '0' && c <= '9')
      value = value << 4 | static_cast<std::uint64_t>(c - '0');
    else if (c >= 'a' && c <= 'f')
      value = value << 4 | static_cast<std::uint64_t>(c - 'a' + 10);
    else
      return std::nullopt;
  }
  return value;
}

std::uint64_t not_zero(const Random64& random) {
  for (;;)
    if (const std::uint64_t value = random(); value != 0) return value;
}

}  // namespace

std::string TraceContext::trace_id() const {
  return fmt::format("{:016x}{:016x}", trace_high, trace_low);
}

std::string TraceContext::traceparent() const {
  return fmt::format("00-{:016x}{:016x}-{:016x}-{:02x}", trace_high, trace_low, span, flags);
}

TraceContext TraceContext::child(const Random64& random) const {
  TraceContext next = *this;
  next.span = not_zero(random);
  return next;
}

TraceContext new_trace(const Random64& random) {
  TraceContext trace;
  trace.trace_high = random();
  trace.trace_low = not_zero(random);
  trace.span = not_zero(random);
  trace.flags = 1;
  return trace;
}

std::optional<TraceContext> parse_traceparent(std::string_view text) {
  // 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
  if (text.size() < 55 || text[2] != '-' || text[35] != '-' || text[52] != '-') return std::nullopt;
  const auto version = parse_hex(text.substr(0, 2));
  const auto high = parse_hex(text.substr(3, 16));
  const auto low = parse_hex(text.substr(19, 16));
  const auto span = parse_hex(text.substr(36, 16));
  const auto flags = parse_hex(text.substr(53, 2));
  if (!version || !high || !low || !span || !flags) return std::nullopt;
  if (*version == 0xff || (*version == 0 && text.size() != 55)) return std::nullopt;
  if (text.size() > 55 && text[55] != '-') return std::nullopt;
  if ((*high == 0 && *low == 0) || *span == 0) return std::nullopt;
  return TraceContext{*high, *low, *span, static_cast<std::uint8_t>(*flags & 1)};
}

}  // namespace cutover
