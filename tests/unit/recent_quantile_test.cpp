#include "runtime/observe/recent_quantile.h"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace cutover;
using namespace std::chrono_literals;
using Catch::Approx;

namespace {
constexpr double kBounds[] = {1, 2, 4};
}

TEST_CASE("a recent quantile is that of the values within its window", "[quantile]") {
  RecentQuantile p50(0.5, 10s);
  const RecentQuantile::Time start{};
  CHECK_FALSE(p50.update(start, kBounds, {100, 0, 0, 0}));  // what was before the first look is not recent
  CHECK(p50.update(start + 5s, kBounds, {100, 10, 0, 0}).value() == Approx(1.5));
  CHECK(p50.update(start + 9s, kBounds, {100, 10, 0, 0}).value() == Approx(1.5));
  // The values of the first five seconds are out of the window.
  CHECK(p50.update(start + 15s, kBounds, {100, 10, 4, 0}).value() == Approx(3));
  CHECK_FALSE(p50.update(start + 40s, kBounds, {100, 10, 4, 0}).has_value());
}

TEST_CASE("values above all bounds count as the last bound", "[quantile]") {
  RecentQuantile p99(0.99, 10s);
  p99.update({}, kBounds, {0, 0, 0, 0});
  CHECK(p99.update(RecentQuantile::Time{} + 1s, kBounds, {1, 0, 0, 9}).value() == Approx(4));
}
