#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

namespace cutover {

// How an event that failed is tried again.
struct RetrySettings {
  std::chrono::milliseconds first{1'000};          // upper bound of the first delay, 1 ms to 1 h
  double factor = 5;                               // growth of that bound with each failure, 1 to 100
  int retries_max = 3;                             // 0 to 100
  std::chrono::milliseconds delay_max{3'600'000};  // no bound grows beyond this, first to 24 h
};

// Exponential backoff with full jitter. Not thread safe: the random source is used in place.
class Retry {
 public:
  // random  64 uniform bits a call
  // throws  std::invalid_argument with setting, value and accepted range
  Retry(RetrySettings settings, std::function<std::uint64_t()> random);

  // The delay before the next try, uniform between 0 and the bound of this failure.
  //   failures  so far, this one included, from 1
  //   returns   nothing when no try is left
  std::optional<std::chrono::milliseconds> delay_after(int failures);

  // The upper bound of the delay after so many failures.
  std::chrono::milliseconds bound_after(int failures) const;

 private:
  RetrySettings settings_;
  std::function<std::uint64_t()> random_;
};

}  // namespace cutover
