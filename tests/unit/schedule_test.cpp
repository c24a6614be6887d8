#include "runtime/policy/schedule.h"

#include <algorithm>
#include <ctime>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>

using namespace cutover;
using namespace std::chrono;
using Catch::Matchers::Message;

namespace {

Instant at(int y, unsigned m, unsigned d, int hour = 0, int minute = 0) {
  return Instant{sys_days{year{y} / month{m} / day{d}}} + hours{hour} + minutes{minute};
}

void refused(const char* line, const std::string& why) {
  CHECK_THROWS_MATCHES(CronTimes(line), std::invalid_argument,
                       Message("cron line \"" + std::string(line) + "\"" + why));
}

// Another reading of cron: each field as the list of its values, one minute after the other.
struct Plain {
  std::vector<int> values[5];
  bool star[5];
  bool has(int field, int value) const {
    return std::find(values[field].begin(), values[field].end(), value) != values[field].end();
  }
  bool matches(Instant instant) const {
    const std::time_t seconds = system_clock::to_time_t(time_point_cast<system_clock::duration>(instant));
    std::tm tm{};
    gmtime_r(&seconds, &tm);
    const bool weekday = has(4, tm.tm_wday) || (tm.tm_wday == 0 && has(4, 7));
    const bool date = has(2, tm.tm_mday);
    const bool day = star[2] || star[4] ? date && weekday : date || weekday;
    return has(0, tm.tm_min) && has(1, tm.tm_hour) && has(3, tm.tm_mon + 1) && day;
  }
};

// A random line and what it must mean.
std::string random_line(std::mt19937_64& random, Plain& plain) {
  constexpr int kLeast[5] = {0, 0, 1, 1, 0}, kMost[5] = {59, 23, 31, 12, 7};
  const auto in = [&](int least, int most) {
    return least + static_cast<int>(random() % static_cast<unsigned>(most - least + 1));
  };
  std::string line;
  for (int field = 0; field < 5; ++field) {
    const int least = kLeast[field], most = kMost[field];
    std::string text;
    if (random() % 3 == 0) {
      const int step = random() % 2 ? 1 : in(1, most);
      text = step == 1 ? "*" : "*/" + std::to_string(step);
      for (int i = least; i <= (field == 4 ? 6 : most); i += step) plain.values[field].push_back(i);
    } else {
      for (int item = in(1, 3); item > 0; --item) {
        const int first = in(least, most);
        text += (text.empty() ? "" : ",") + std::to_string(first);
        int last = first, step = 1;
        if (random() % 2) {
          last = in(first, most);
          text += "-" + std::to_string(last);
          if (random() % 2) text += "/" + std::to_string(step = in(1, most));
        }
        for (int i = first; i <= last; i += step) plain.values[field].push_back(i);
      }
    }
    plain.star[field] = text.front() == '*';
    line += (field ? " " : "") + text;
  }
  return line;
}

}  // namespace

TEST_CASE("the times of well-known lines", "[schedule]") {
  CHECK(CronTimes("0 2 * * *").next_after(at(2026, 3, 1, 1, 59)) == at(2026, 3, 1, 2));
  CHECK(CronTimes("0 2 * * *").next_after(at(2026, 3, 1, 2)) == at(2026, 3, 2, 2));
  CHECK(CronTimes("0 2 * * *").next_after(at(2026, 3, 1, 2) - 1us) == at(2026, 3, 1, 2));
  CHECK(CronTimes("* * * * *").next_after(at(2026, 12, 31, 23, 59) + 59s) == at(2027, 1, 1));
  CHECK(CronTimes("*/15 9-17 * * mon-fri").next_after(at(2026, 3, 6, 17, 45)) == at(2026, 3, 9, 9));
  CHECK(CronTimes("30 4 1,15 * 5").next_after(at(2026, 3, 2)) == at(2026, 3, 6, 4, 30));       // a Friday
  CHECK(CronTimes("30 4 1,15 * 5").next_after(at(2026, 3, 13, 5)) == at(2026, 3, 15, 4, 30));  // the 15th
  CHECK(CronTimes("0 0 * * 7").next_after(at(2026, 3, 2)) == at(2026, 3, 8));
  CHECK(CronTimes("0 0 * * 0").next_after(at(2026, 3, 2)) == at(2026, 3, 8));
  CHECK(CronTimes("0 0 * * SUN").next_after(at(2026, 3, 2)) == at(2026, 3, 8));
  CHECK(CronTimes("0 0 1 JaN,jul *").next_after(at(2026, 2, 1)) == at(2026, 7, 1));
  CHECK(CronTimes("0 0 29 2 *").next_after(at(2096, 3, 1)) == at(2104, 2, 29));
  CHECK(CronTimes("0 0 31 * *").next_after(at(2026, 1, 31)) == at(2026, 3, 31));
  CHECK(CronTimes("\t0  0 1 1\t* ").next_after(at(2026, 1, 1)) == at(2027, 1, 1));
  CHECK(CronTimes("10-50/20 * * * *").next_after(at(2026, 1, 1, 0, 30)) == at(2026, 1, 1, 0, 50));
}

TEST_CASE("a day field that begins with a star narrows the other", "[schedule]") {
  CHECK(CronTimes("0 0 */2 * 1").next_after(at(2026, 3, 1, 12)) ==
        at(2026, 3, 9));  // an odd day that is a Monday
  CHECK(CronTimes("0 0 1 * *").next_after(at(2026, 3, 1)) == at(2026, 4, 1));
  CHECK(CronTimes("0 0 29 2 */7").next_after(at(2026, 1, 1)) == at(2032, 2, 29));  // a Sunday
}

TEST_CASE("a wrong line names its field", "[schedule]") {
  refused("", " has 0 fields; it needs 5: minute, hour, day of month, month, day of week");
  refused("0 2 * *", " has 4 fields; it needs 5: minute, hour, day of month, month, day of week");
  refused("0 0 2 * * *", " has 6 fields; it needs 5: minute, hour, day of month, month, day of week");
  refused("@daily", " has 1 fields; it needs 5: minute, hour, day of month, month, day of week");
  refused("60 * * * *", ": minute: value \"60\" is not one of 0 to 59");
  refused("* 24 * * *", ": hour: value \"24\" is not one of 0 to 23");
  refused("* * 0 * *", ": day of month: value \"0\" is not one of 1 to 31");
  refused("* * * 13 *", ": month: value \"13\" is not one of 1 to 12");
  refused("* * * * 8", ": day of week: value \"8\" is not one of 0 to 7");
  refused("* * * mon *", ": month: value \"mon\" is not one of 1 to 12");
  refused("-5 * * * *", ": minute: value \"\" is not one of 0 to 59");
  refused("1.5 * * * *", ": minute: value \"1.5\" is not one of 0 to 59");
  refused("99999999999 * * * *", ": minute: value \"99999999999\" is not one of 0 to 59");
  refused("30-10 * * * *", ": minute: range 30-10 ends before it begins");
  refused("* * * * fri-sun", ": day of week: range fri-sun ends before it begins");
  refused("5/10 * * * *", ": minute: 5/10: a step needs a range or *");
  refused("*/0 * * * *", ": minute: step \"0\" is not one of 1 to 59");
  refused("*/60 * * * *", ": minute: step \"60\" is not one of 1 to 59");
  refused("*/ * * * *", ": minute: step \"\" is not one of 1 to 59");
  refused("*/2/2 * * * *", ": minute: step \"2/2\" is not one of 1 to 59");
  refused("1,,2 * * * *", ": minute: value \"\" is not one of 0 to 59");
  refused("1, * * * *", ": minute: ends with a comma");
  refused("1-2-3 * * * *", ": minute: value \"2-3\" is not one of 0 to 59");
  refused("0 0 30 2 *", ": day of month: no such day in these months");
  refused("0 0 31 4,6,9,11 *", ": day of month: no such day in these months");
}

TEST_CASE("random lines mean what a minute-by-minute reading finds", "[schedule]") {
  std::mt19937_64 random(42);
  int compared = 0;
  while (compared < 300) {
    Plain plain;
    const std::string line = random_line(random, plain);
    CAPTURE(line);
    std::optional<CronTimes> times;
    try {
      times.emplace(line);
    } catch (const std::invalid_argument&) {
      continue;  // a day that no month has
    }
    ++compared;
    const Instant start = at(2024, 1, 1) + minutes{random() % (4 * 366 * 1440)};
    const Instant next = times->next_after(start + seconds{random() % 60});
    REQUIRE(next > start);
    // Up to 60 days by hand; what lies beyond is checked for being one of the times.
    const Instant end = std::min(next, start + days{60});
    for (Instant minute = start + 1min; minute < end; minute += 1min) REQUIRE_FALSE(plain.matches(minute));
    REQUIRE(plain.matches(next));
    REQUIRE(times->matches(next));
    for (int i = 0; i < 200; ++i) {
      const Instant any = start + minutes{random() % (366 * 1440)};
      REQUIRE(times->matches(any) == plain.matches(any));
    }
  }
}
