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
    return static_cast<std::size_t>(std::max(0.0, tokens_));  // below 0: two threads took at once
  }
  // How many of `wanted` may go now: all of them, or a quarter of a second's worth at least. One by one, as the
  // cap refills, each would be a batch of its own, and what is urgent waits for a running batch.
  std::size_t available(std::size_t wanted, Time now) {
    const std::size_t free = available(now);
    return free >= std::min(wanted, static_cast<std::size_t>(per_second_ / 4)) ? std::min(wanted, free) : 0;
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
