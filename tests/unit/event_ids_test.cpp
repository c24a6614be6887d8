#include "runtime/event/event_ids.h"

#include <random>
#include <set>

#include <catch2/catch_test_macros.hpp>

#include "runtime/event/field_rules.h"
#include "tests/unit/test_clock.h"

using namespace cutover;
using cutover::test::TestClock;
using namespace std::chrono_literals;

TEST_CASE("an event id is a UUID of version 7 with the clock's milliseconds in front", "[event_ids]") {
  TestClock clock(Instant{1'700'000'000'123'456us});
  EventIds ids(clock, std::mt19937_64(1));
  const std::string id = ids.next();
  CHECK(is_uuid(id));
  CHECK(id[14] == '7');
  CHECK(std::string_view("89ab").find(id[19]) != std::string_view::npos);
  CHECK(std::stoull(id.substr(0, 8) + id.substr(9, 4), nullptr, 16) == 1'700'000'000'123);
}

TEST_CASE("event ids grow while the clock stands, jumps back and runs", "[event_ids]") {
  TestClock clock(Instant{1'700'000'000'123'456us});
  EventIds ids(clock, std::mt19937_64(2));
  std::set<std::string> all;
  std::string last;
  for (int i = 0; i < 30'000; ++i) {
    if (i == 10'000) clock.advance(-1h);
    if (i == 20'000) clock.advance(2h);
    if (i > 20'000) clock.advance(1us);
    const std::string id = ids.next();
    REQUIRE(id > last);
    all.insert(id);
    last = id;
  }
  CHECK(all.size() == 30'000);
}

TEST_CASE("two instances on one clock make different ids", "[event_ids]") {
  TestClock clock(Instant{1'700'000'000'123'456us});
  EventIds one(clock, std::mt19937_64(1)), other(clock, std::mt19937_64(2));
  for (int i = 0; i < 100; ++i) CHECK(one.next() != other.next());
}
