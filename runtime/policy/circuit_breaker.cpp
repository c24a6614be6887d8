#include "runtime/policy/circuit_breaker.h"

#include <stdexcept>

namespace cutover {

CircuitBreaker::CircuitBreaker(BreakerSettings settings) : settings_(settings) {
  const std::chrono::milliseconds none{0};
  if (settings.failures_to_open < 1)
    throw std::invalid_argument("breaker failures_to_open must be at least 1");
  if (settings.failure_window <= none)
    throw std::invalid_argument("breaker failure_window must be above 0 ms");
  if (settings.open_for <= none) throw std::invalid_argument("breaker open_for must be above 0 ms");
  if (settings.successes_to_close < 1)
    throw std::invalid_argument("breaker successes_to_close must be at least 1");
}

bool CircuitBreaker::allow(Time now) {
  state_ = state(now);
  return state_ != State::open;
}

void CircuitBreaker::succeeded(Time now) {
  state_ = state(now);
  if (state_ != State::half_open) return;  // a late answer to a call from before it opened proves nothing
  if (++successes_ < settings_.successes_to_close) return;
  state_ = State::closed;
  failures_.clear();
}

void CircuitBreaker::failed(Time now) {
  state_ = state(now);
  if (state_ == State::open) return;
  if (state_ == State::half_open) return open(now);
  while (!failures_.empty() && now - failures_.front() > settings_.failure_window) failures_.pop_front();
  failures_.push_back(now);
  if (failures_.size() >= static_cast<std::size_t>(settings_.failures_to_open)) open(now);
}

CircuitBreaker::State CircuitBreaker::state(Time now) const {
  if (state_ == State::open && now - opened_at_ >= settings_.open_for) return State::half_open;
  return state_;
}

void CircuitBreaker::open(Time now) {
  state_ = State::open;
  opened_at_ = now;
  successes_ = 0;
}

}  // namespace cutover
