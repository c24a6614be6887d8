#pragma once

#include <chrono>
#include <deque>

namespace cutover {

struct BreakerSettings {
  int failures_to_open = 5;  // within failure_window
  std::chrono::milliseconds failure_window{30'000};
  std::chrono::milliseconds open_for{60'000};  // then half-open: calls are tried again
  int successes_to_close = 3;                  // in half-open; one failure there opens it again
};

// Spares a service that keeps failing. Ask `allow` before each call and report how it went. One thread.
class CircuitBreaker {
 public:
  using Time = std::chrono::steady_clock::time_point;
  enum class State { closed, open, half_open };

  // Throws std::invalid_argument when a setting is not positive.
  explicit CircuitBreaker(BreakerSettings settings = {});

  // False: do not call, it counts as refused. Opens half when the time has come.
  bool allow(Time now);
  void succeeded(Time now);
  void failed(Time now);

  // For metrics: what `allow` would find.
  State state(Time now) const;

 private:
  void open(Time now);

  BreakerSettings settings_;
  State state_ = State::closed;
  std::deque<Time> failures_;  // of the last window, while closed
  Time opened_at_{};
  int successes_ = 0;  // while half-open
};

}  // namespace cutover
