#include "runtime/policy/circuit_breaker.h"

#include <catch2/catch_test_macros.hpp>

using namespace cutover;
using namespace std::chrono_literals;
using State = CircuitBreaker::State;

namespace {

constexpr CircuitBreaker::Time kStart{std::chrono::hours(100)};

CircuitBreaker opened_at_start() {
  CircuitBreaker breaker;
  for (int i = 0; i < 5; ++i) breaker.failed(kStart);
  return breaker;
}

}  // namespace

TEST_CASE("five failures in 30 seconds open the breaker", "[circuit_breaker]") {
  CircuitBreaker breaker;
  for (int i = 0; i < 4; ++i) breaker.failed(kStart + i * 7s);
  CHECK(breaker.allow(kStart + 28s));
  CHECK(breaker.state(kStart + 28s) == State::closed);
  breaker.failed(kStart + 30s);
  CHECK_FALSE(breaker.allow(kStart + 30s));
  CHECK(breaker.state(kStart + 30s) == State::open);
}

TEST_CASE("failures further apart do not open it, whatever succeeds in between", "[circuit_breaker]") {
  CircuitBreaker breaker;
  for (int i = 0; i < 100; ++i) {
    breaker.failed(kStart + i * 7501ms);
    breaker.succeeded(kStart + i * 7501ms);
    REQUIRE(breaker.allow(kStart + i * 7501ms));
  }
}

TEST_CASE("an open breaker opens half after 60 seconds and closes after three successes",
          "[circuit_breaker]") {
  CircuitBreaker breaker = opened_at_start();
  CHECK_FALSE(breaker.allow(kStart + 59'999ms));
  CHECK(breaker.state(kStart + 60s) == State::half_open);
  CHECK(breaker.allow(kStart + 60s));
  breaker.succeeded(kStart + 60s);
  breaker.succeeded(kStart + 61s);
  CHECK(breaker.state(kStart + 61s) == State::half_open);
  breaker.succeeded(kStart + 62s);
  CHECK(breaker.state(kStart + 62s) == State::closed);
  // The failures from before are forgotten.
  for (int i = 0; i < 4; ++i) breaker.failed(kStart + 63s);
  CHECK(breaker.allow(kStart + 63s));
  breaker.failed(kStart + 63s);
  CHECK_FALSE(breaker.allow(kStart + 63s));
}

TEST_CASE("one failure while half open opens it for another 60 seconds", "[circuit_breaker]") {
  CircuitBreaker breaker = opened_at_start();
  REQUIRE(breaker.allow(kStart + 60s));
  breaker.succeeded(kStart + 60s);
  breaker.succeeded(kStart + 60s);
  breaker.failed(kStart + 61s);
  CHECK_FALSE(breaker.allow(kStart + 120s));
  REQUIRE(breaker.allow(kStart + 121s));
  breaker.succeeded(kStart + 121s);  // the two from before do not count
  CHECK(breaker.state(kStart + 121s) == State::half_open);
}

TEST_CASE("late answers to calls from before it opened change nothing", "[circuit_breaker]") {
  CircuitBreaker breaker = opened_at_start();
  for (int i = 0; i < 5; ++i) breaker.succeeded(kStart + 1s);
  for (int i = 0; i < 5; ++i) breaker.failed(kStart + 30s);
  CHECK(breaker.state(kStart + 59s) == State::open);
  CHECK(breaker.state(kStart + 60s) == State::half_open);
}

TEST_CASE("breaker settings must be positive", "[circuit_breaker]") {
  CHECK_THROWS_AS(CircuitBreaker({.failures_to_open = 0}), std::invalid_argument);
  CHECK_THROWS_AS(CircuitBreaker({.failure_window = 0ms}), std::invalid_argument);
  CHECK_THROWS_AS(CircuitBreaker({.open_for = 0ms}), std::invalid_argument);
  CHECK_THROWS_AS(CircuitBreaker({.successes_to_close = 0}), std::invalid_argument);
}
