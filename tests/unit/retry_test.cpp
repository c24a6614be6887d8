#include "runtime/policy/retry.h"

#include <algorithm>
#include <limits>
#include <random>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>

using namespace cutover;
using namespace std::chrono_literals;
using Catch::Matchers::Message;

namespace {

constexpr auto kHighest = [] { return ~std::uint64_t{0}; };
constexpr auto kLowest = [] { return std::uint64_t{0}; };

}  // namespace

TEST_CASE("the bound of the delay is one second, then five times the last", "[retry]") {
  Retry retry({}, kHighest);
  CHECK(retry.delay_after(1) == 1s);
  CHECK(retry.delay_after(2) == 5s);
  CHECK(retry.delay_after(3) == 25s);
  CHECK(retry.delay_after(4) == std::nullopt);
}

TEST_CASE("full jitter reaches from nothing to the bound, evenly", "[retry]") {
  CHECK(Retry({}, kLowest).delay_after(3) == 0ms);
  Retry retry({}, std::mt19937_64(11));
  int quarters[4] = {};
  for (int i = 0; i < 40'000; ++i) {
    const auto delay = retry.delay_after(2).value();
    REQUIRE(delay >= 0ms);
    REQUIRE(delay <= 5s);
    ++quarters[std::min<std::int64_t>(3, delay / 1250ms)];
  }
  for (const int count : quarters) {
    CHECK(count > 9'600);
    CHECK(count < 10'400);
  }
}

TEST_CASE("no bound grows beyond delay_max", "[retry]") {
  Retry retry({.first = 1s, .factor = 100, .retries_max = 100, .delay_max = 10min}, kHighest);
  CHECK(retry.delay_after(2) == 100s);
  CHECK(retry.delay_after(3) == 10min);
  CHECK(retry.delay_after(100) == 10min);
}

TEST_CASE("no retries means none", "[retry]") {
  Retry retry({.retries_max = 0}, kHighest);
  CHECK(retry.delay_after(1) == std::nullopt);
}

TEST_CASE("retry settings are refused with setting, value and range", "[retry]") {
  const auto refused = [](RetrySettings settings, const char* why) {
    CHECK_THROWS_MATCHES(Retry(settings, kLowest), std::invalid_argument, Message(why));
  };
  refused({.first = 0ms}, "retry first is 0 ms; it must be 1 to 3600000 ms");
  refused({.factor = 0.5}, "retry factor is 0.5; it must be 1 to 100");
  refused({.factor = std::numeric_limits<double>::quiet_NaN()}, "retry factor is nan; it must be 1 to 100");
  refused({.retries_max = -1}, "retry retries_max is -1; it must be 0 to 100");
  refused({.first = 2s, .delay_max = 1s},
          "retry delay_max is 1000 ms; it must be 2000 (first) to 86400000 ms");
}
