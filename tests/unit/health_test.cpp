#include "runtime/observe/health.h"

#include <optional>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "unit/test_clock.h"

using namespace cutover;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("a loop that beats within its limit is alive; one that does not is named", "[health]") {
  test::TestClock clock;
  Health health(clock);
  Heartbeat steady = health.add_loop("engine", 2s);
  const Heartbeat stuck = health.add_loop("relay", 2s);
  CHECK(health.live().ok);
  clock.advance(1'900ms);
  steady.beat();
  CHECK(health.live().ok);
  clock.advance(200ms);
  const Health::Report report = health.live();
  CHECK_FALSE(report.ok);
  REQUIRE(report.lines.size() == 2);
  CHECK(report.lines[0].ok);
  CHECK(report.lines[1].name == "relay");
  CHECK_FALSE(report.lines[1].ok);
  CHECK(report.lines[1].text == "no progress for 2.1 s, the limit is 2.0 s");
}

TEST_CASE("a loop that beats again is alive again", "[health]") {
  test::TestClock clock;
  Health health(clock);
  Heartbeat loop = health.add_loop("engine", 1s);
  clock.advance(10s);
  CHECK_FALSE(health.live().ok);
  loop.beat();
  CHECK(health.live().ok);
}

TEST_CASE("a loop that ended is finished, not stuck", "[health]") {
  test::TestClock clock;
  Health health(clock);
  {
    std::optional<Heartbeat> loop = health.add_loop("engine", 1s);
    const Heartbeat moved = std::move(*loop);
    loop.reset();
    CHECK(health.live().lines.size() == 1);
  }
  clock.advance(10s);
  CHECK(health.live().ok);
  CHECK(health.live().lines.empty());
}

TEST_CASE("a process is not ready before every check has said yes once", "[health]") {
  test::TestClock clock;
  Health health(clock);
  health.add_check("postgres", 10s);
  health.add_check("nats", 10s);
  CHECK_FALSE(health.ready().ok);
  health.set_check("postgres", true, "15.8");
  CHECK_FALSE(health.ready().ok);
  CHECK(health.ready().lines[1].text == "not checked yet");
  health.set_check("nats", true, "2.9.10");
  CHECK(health.ready().ok);
  health.set_check("nats", false, "no server answers");
  const auto report = health.ready();
  CHECK_FALSE(report.ok);
  CHECK(report.lines[1].text == "no server answers");
}

TEST_CASE("a good result that is too old counts as failed", "[health]") {
  test::TestClock clock;
  Health health(clock);
  health.add_check("postgres", 10s);
  health.set_check("postgres", true, "15.8");
  clock.advance(11s);
  CHECK_FALSE(health.ready().ok);
  CHECK_THAT(health.ready().lines[0].text, ContainsSubstring("last checked 11.0 s ago"));
}

TEST_CASE("a draining process is alive and not ready", "[health]") {
  test::TestClock clock;
  Health health(clock);
  health.add_check("postgres", 10s);
  health.set_check("postgres", true, "");
  health.set_draining();
  CHECK(health.live().ok);
  CHECK_FALSE(health.ready().ok);
  CHECK(health.ready().lines[0].name == "draining");
}

TEST_CASE("a result for a check that nobody added is a mistake of the program", "[health]") {
  test::TestClock clock;
  Health health(clock);
  CHECK_THROWS_AS(health.set_check("postgres", true, ""), std::out_of_range);
}
