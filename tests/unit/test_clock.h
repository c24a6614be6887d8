#pragma once

#include <atomic>
#include <chrono>

#include "runtime/contract/clock.h"

namespace cutover::test {

// A clock that stands still until it is told to advance. Thread safe.
class TestClock final : public Clock {
 public:
  // 2026-01-02T03:04:05.678901Z
  explicit TestClock(Instant start = Instant(std::chrono::microseconds(1'767'323'045'678'901)))
      : start_(start) {}

  Instant now() const override { return start_ + std::chrono::microseconds(passed_.load()); }
  std::chrono::steady_clock::time_point monotonic() const override {
    return std::chrono::steady_clock::time_point(std::chrono::hours(1) +
                                                 std::chrono::microseconds(passed_.load()));
  }
  void advance(std::chrono::microseconds span) { passed_ += span.count(); }

 private:
  Instant start_;
  std::atomic<std::int64_t> passed_{0};
};

}  // namespace cutover::test
