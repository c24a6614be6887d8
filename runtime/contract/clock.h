#pragma once

#include <chrono>

namespace cutover {

// Wall time, UTC, microseconds: the resolution of PostgreSQL's timestamptz.
using Instant = std::chrono::sys_time<std::chrono::microseconds>;

// The only source of time in the runtime; arrives by constructor so that tests can advance it. Thread safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Wall time; may jump.
  virtual Instant now() const = 0;
  // Never goes backwards; only differences mean something.
  virtual std::chrono::steady_clock::time_point monotonic() const = 0;
};

class SystemClock final : public Clock {
 public:
  Instant now() const override {
    return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
  }
  std::chrono::steady_clock::time_point monotonic() const override { return std::chrono::steady_clock::now(); }
};

}  // namespace cutover
