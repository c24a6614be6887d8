#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

namespace cutover {

// A quantile of what a histogram saw lately, from looks at its buckets. One thread.
class RecentQuantile {
 public:
  using Time = std::chrono::steady_clock::time_point;
  RecentQuantile(double quantile, std::chrono::milliseconds window) : quantile_(quantile), window_(window) {}

  //   bounds   upper bounds of the buckets, ascending
  //   counts   values in each bucket since the beginning; one more than bounds, for what is above all of them
  //   returns  the quantile of the values since the look that is a window old, linear within its bucket; none
  //   without values
  std::optional<double> update(Time now, std::span<const double> bounds, std::vector<std::uint64_t> counts);

 private:
  struct Look {
    Time at;
    std::vector<std::uint64_t> counts;
  };
  double quantile_;
  std::chrono::milliseconds window_;
  std::deque<Look> looks_;
};

}  // namespace cutover
