#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace cutover {

// 64 random bits; arrives by constructor, so that tests can choose them.
using Random64 = std::function<std::uint64_t()>;

// Position in a distributed trace, as W3C Trace Context defines it.
struct TraceContext {
  std::uint64_t trace_high = 0;
  std::uint64_t trace_low = 0;
  std::uint64_t span = 0;
  std::uint8_t flags = 0;  // bit 0: sampled

  std::string trace_id() const;     // 32 lower-case hexadecimal digits
  std::string traceparent() const;  // 00-<trace>-<span>-<flags>
  // The same trace, a new span.
  TraceContext child(const Random64& random) const;
  friend bool operator==(const TraceContext&, const TraceContext&) = default;
};

// A trace of its own, sampled.
TraceContext new_trace(const Random64& random);

// Header `traceparent`. Versions above 00 are read as far as 00 goes, as the standard says.
//   returns  nullopt when it is malformed or an id is all zero: then a new trace starts
std::optional<TraceContext> parse_traceparent(std::string_view text);

}  // namespace cutover
