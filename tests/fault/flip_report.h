#pragma once

#include <ostream>
#include <vector>

#include "fault/applied.h"
#include "fault/steady_load.h"
#include "fault/two_sides.h"

namespace cutover::test {

// How long flips took, from the first attempt at the lock to the commit, and what they did to the latency of
// events.

// "undisturbed: 25 flips, p50 4.1 ms, p99 31.0 ms, longest 31.0 ms; of it the lock held: p99 6.0 ms"
void print_durations(std::ostream& out, const std::string& what, const std::vector<TwoSides::Flip>& flips);

// A histogram of the time from publish to commit, for events that were under way while a flip was made, and
// for those of the `around` before and behind one.
void print_latencies(std::ostream& out, const std::vector<TwoSides::Flip>& flips,
                     const std::vector<SentEvent>& sent, const std::vector<Applied>& applied,
                     std::chrono::milliseconds around);

}  // namespace cutover::test
