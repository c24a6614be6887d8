#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace cutover {

// How a replay of many dead letters goes on: first 1, then 10, then 100, each awaited, then the rest at a
// rate. Counts in, the next step out.

// Of the run at hand.
struct RedriveFacts {
  std::uint64_t taken = 0;  // sent, or passed over
  std::uint64_t in_flight = 0;
  std::uint64_t settled = 0;
  std::uint64_t failed = 0;   // of these, dead letters again
  std::uint64_t waiting = 0;  // not taken yet
  // 99th percentile of the live lanes, publish to commit: when the run began, and now; none: nobody says.
  std::optional<double> latency_before_ms, latency_now_ms;
};

struct RedriveLimits {
  std::uint64_t rate = 100;         // letters a second, of the rest
  double failing_percent_max = 10;  // of what was settled
  double latency_growth_percent = 100;
  double latency_growth_ms = 100;  // less is noise
};

struct RedriveStep {
  enum class Kind { send, wait, finished, stop };
  Kind kind = Kind::wait;
  std::uint64_t count = 0;  // to send
  std::string because;      // of a stop
};

RedriveStep next_step(const RedriveFacts& facts, const RedriveLimits& limits);

}  // namespace cutover
