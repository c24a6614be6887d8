#include "runtime/engine/rate_cap.h"

#include <catch2/catch_test_macros.hpp>

using namespace cutover;
using namespace std::chrono_literals;

namespace {
const RateCap::Time kStart{std::chrono::hours(1)};
}

TEST_CASE("a second's worth may go at once, and refills at the rate", "[rate_cap]") {
  RateCap cap(100);
  CHECK(cap.available(kStart) == 100);
  cap.take(100, kStart);
  CHECK(cap.available(kStart) == 0);
  CHECK(cap.available(kStart + 500ms) == 50);
  CHECK(cap.available(kStart + 1h) == 100);
}

TEST_CASE("what waits goes in pieces of a quarter of a second, not one by one", "[rate_cap]") {
  RateCap cap(100);
  CHECK(cap.available(7, kStart) == 7);
  cap.take(100, kStart);
  CHECK(cap.available(200, kStart + 240ms) == 0);
  CHECK(cap.available(200, kStart + 250ms) == 25);
  CHECK(cap.available(3, kStart + 30ms) == 3);  // all of it
}

TEST_CASE("two threads that took at once pay it back", "[rate_cap]") {
  RateCap cap(100);
  cap.take(100, kStart);
  cap.take(100, kStart);
  CHECK(cap.available(kStart) == 0);
  CHECK(cap.available(1, kStart + 900ms) == 0);
  CHECK(cap.available(kStart + 1'500ms) == 50);
}

TEST_CASE("a small rate goes on one by one", "[rate_cap]") {
  RateCap cap(1);
  CHECK(cap.available(5, kStart) == 1);
  cap.take(1, kStart);
  CHECK(cap.available(5, kStart + 500ms) == 0);
  CHECK(cap.available(5, kStart + 1s) == 1);
}
