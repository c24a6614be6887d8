#include "runtime/contract/timestamp.h"

#include <random>

#include <catch2/catch_test_macros.hpp>

using namespace cutover;
using namespace std::chrono;

namespace {

constexpr Instant at(int y, unsigned m, unsigned d) {
  return Instant{sys_days{year{y} / month{m} / day{d}}};
}

}  // namespace

TEST_CASE("RFC 3339 times in UTC are read", "[timestamp]") {
  CHECK(parse_timestamp("1970-01-01T00:00:00Z") == Instant{});
  CHECK(parse_timestamp("2026-03-01T12:34:56Z") == at(2026, 3, 1) + 12h + 34min + 56s);
  CHECK(parse_timestamp("2026-03-01t12:34:56z") == at(2026, 3, 1) + 12h + 34min + 56s);
  CHECK(parse_timestamp("2026-03-01T12:34:56.5Z") == at(2026, 3, 1) + 12h + 34min + 56s + 500ms);
  CHECK(parse_timestamp("2026-03-01T12:34:56.123456Z") == at(2026, 3, 1) + 12h + 34min + 56s + 123456us);
  CHECK(parse_timestamp("2026-03-01T12:34:56.123456999+00:00") ==
        at(2026, 3, 1) + 12h + 34min + 56s + 123456us);
  CHECK(parse_timestamp("2024-02-29T00:00:00-00:00") == at(2024, 2, 29));
  CHECK(parse_timestamp("0001-01-01T00:00:00Z") == at(1, 1, 1));
  CHECK(parse_timestamp("9999-12-31T23:59:59.999999Z") == at(9999, 12, 31) + 24h - 1us);
}

TEST_CASE("a leap second is the first second of the next day", "[timestamp]") {
  CHECK(parse_timestamp("2016-12-31T23:59:60Z") == at(2017, 1, 1));
  CHECK(parse_timestamp("2016-12-31T23:59:60.25Z") == at(2017, 1, 1) + 250ms);
  CHECK_FALSE(parse_timestamp("2016-12-31T23:58:60Z"));
  CHECK_FALSE(parse_timestamp("2016-12-31T12:59:60Z"));
}

TEST_CASE("anything else is no time", "[timestamp]") {
  for (const char* text : {"",
                           "2026",
                           "2026-03-01",
                           "2026-03-01T12:34:56",
                           "2026-03-01 12:34:56Z",
                           "2026-03-01T12:34Z",
                           "2026-03-01T12:34:56+01:00",
                           "2026-03-01T12:34:56.Z",
                           "2026-03-01T12:34:56.5",
                           "2026-03-01T12:34:56ZZ",
                           "2026-03-01T24:00:00Z",
                           "2026-03-01T12:60:00Z",
                           "2026-03-01T12:34:61Z",
                           "2026-02-29T00:00:00Z",
                           "2026-00-01T00:00:00Z",
                           "2026-13-01T00:00:00Z",
                           "2026-01-00T00:00:00Z",
                           "2026-01-32T00:00:00Z",
                           "0000-01-01T00:00:00Z",
                           "-026-03-01T12:34:56Z",
                           "2026-03-01T12:34:5aZ",
                           "2026-03-01T1:34:56.0Z",
                           "2026/03/01T12:34:56Z",
                           " 2026-03-01T12:34:56Z",
                           "2026-03-01T12:34:56+0000",
                           "\xff\xff\xff\xff-03-01T12:34:56Z"})
    CHECK_FALSE(parse_timestamp(text));
}

TEST_CASE("a written time is read back", "[timestamp]") {
  std::mt19937_64 random(7);
  for (int i = 0; i < 10'000; ++i) {
    const Instant instant =
        at(1, 1, 1) + microseconds{static_cast<std::int64_t>(random() % 315'537'897'600'000'000)};
    std::string text;
    append_timestamp(text, instant);
    REQUIRE(text.size() == 27);
    REQUIRE(parse_timestamp(text) == instant);
  }
}
