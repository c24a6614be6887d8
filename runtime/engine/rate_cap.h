#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <mutex>

namespace cutover {

// At most so many a second, with a burst of one second's worth. Thread safe.
class RateCap {
 public:
  using Time = std::chrono::steady_clock::time_point;
  explicit RateCap(double per_second) : per_second_(per_second), tokens_(per_second) {}

  // How many may go now.
  std::size_t available(Time now) {
    std::lock_guard lock(mutex_);
    refill(now);
    return static_cast<std::size_t>(tokens_);
  }
  void take(std::size_t count, Time now) {
    std::lock_guard lock(mutex_);
    refill(now);
    tokens_ -= static_cast<double>(count);
  }

 private:
  void refill(Time now) {
    if (last_ != Time{})
      tokens_ = std::min(per_second_, tokens_ + per_second_ * std::chrono::duration<double>(now - last_).count());
    last_ = now;
  }

  double per_second_;
  std::mutex mutex_;
  double tokens_;
  Time last_{};
};

}  // namespace cutover
