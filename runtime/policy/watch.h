#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace cutover {

// Whether a worker does as well after a switch as events were done before it: measurements in, findings out.

// What happened in some stretch of time, on either side.
struct VitalSigns {
  std::uint64_t settled = 0;       // events that were applied, were duplicates or became letters
  std::uint64_t dead_letters = 0;  // of these
  std::uint64_t batches = 0;       // the worker's, in shadow too
  double batch_seconds = 0;        // of all of them
};

// A figure of what the worker makes.
struct WatchedFigure {
  std::string name, what;            // score_distribution, mean score
  std::optional<double> now, before; // since the switch, and in the week before it; none: there was none
  double change_max = 0;             // either way
};

struct WatchFacts {
  std::optional<double> drain_seconds;  // what waits for the worker, at its pace; none: the broker is silent
  std::uint64_t failing = 0;            // events that failed and are not settled
  VitalSigns now;                       // the last ten minutes
  VitalSigns before;                    // the day before the switch
  std::vector<WatchedFigure> figures;
};

struct WatchLimits {
  double drain_seconds_max = 120;
  double dead_letter_percent_max = 0.1;
  double failing_percent_max = 1.5;
  double batch_seconds_max = 1;
  double growth_max = 2;  // a rate may be so many times what it was before, where that was above its limit
  std::uint64_t settled_min = 100;  // fewer say nothing about a rate
};

struct Finding {
  enum class State { ok, over, unknown };
  std::string name;  // lag | dead_letters | errors | batch_duration, or that of a figure
  State state = State::unknown;
  std::string text;
};

std::vector<Finding> judge(const WatchFacts& facts, const WatchLimits& limits);

// "lag: 130.0 s to drain, at most 120 s": what is over its limit; empty: nothing.
std::string over_limit(const std::vector<Finding>& findings);

}  // namespace cutover
