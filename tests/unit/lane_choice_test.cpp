#include "runtime/policy/lane_choice.h"

#include <algorithm>
#include <random>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

using namespace cutover;
using namespace std::chrono_literals;

namespace {

constexpr LaneChoice::Time kStart{std::chrono::hours(100)};
using Counts = std::vector<std::size_t>;
using Ranks = std::vector<LaneRank>;

}  // namespace

TEST_CASE("nothing waits, nothing is chosen", "[lane_choice]") {
  LaneChoice choice({{.priority = 0}, {.priority = 9}});
  CHECK(choice.next(Counts{0, 0}, kStart) == std::nullopt);
}

TEST_CASE("the highest priority goes first", "[lane_choice]") {
  LaneChoice choice({{.priority = 9}, {.priority = 0}, {.priority = 5}});
  CHECK(choice.next(Counts{9, 1, 9}, kStart) == 1);
  CHECK(choice.next(Counts{9, 0, 9}, kStart) == 2);
  CHECK(choice.next(Counts{9, 0, 0}, kStart) == 0);
  CHECK(choice.next(Counts{9, 1, 9}, kStart) == 1);
}

TEST_CASE("equal lanes take turns", "[lane_choice]") {
  LaneChoice choice({{.priority = 3}, {.priority = 3}, {.priority = 3}});
  for (std::size_t i = 0; i < 9; ++i) CHECK(choice.next(Counts{5, 5, 5}, kStart) == i % 3);
}

TEST_CASE("a busy high lane leaves every twentieth batch to a low one", "[lane_choice]") {
  LaneChoice choice({{.priority = 0}, {.priority = 9}});
  int low = 0;
  for (int i = 0; i < 1000; ++i) low += choice.next(Counts{1, 1}, kStart) == 1;
  CHECK(low >= 47);
  CHECK(low <= 50);
}

TEST_CASE("a lane is served before max_wait passes", "[lane_choice]") {
  LaneChoice choice({{.priority = 0}, {.priority = 9, .max_wait = 1s}}, 0);
  auto now = kStart;
  auto served = now;
  for (int i = 0; i < 10'000; ++i, now += 10ms) {
    if (choice.next(Counts{1, 1}, now) != 1) continue;
    CHECK(now - served <= 1s);
    served = now;
  }
  CHECK(now - served <= 1s);
}

TEST_CASE("time without waiting events is no debt", "[lane_choice]") {
  LaneChoice choice({{.priority = 0}, {.priority = 9, .max_wait = 1s}});
  for (int i = 0; i < 1000; ++i) REQUIRE(choice.next(Counts{1, 0}, kStart + i * 1s) == 0);
  CHECK(choice.next(Counts{1, 1}, kStart + 1000s) == 0);
  CHECK(choice.next(Counts{1, 1}, kStart + 1000s) == 0);
}

TEST_CASE("lane settings are validated", "[lane_choice]") {
  CHECK_THROWS_AS(LaneChoice(Ranks{{.priority = 10}}), std::invalid_argument);
  CHECK_THROWS_AS(LaneChoice(Ranks{{.priority = -1}}), std::invalid_argument);
  CHECK_THROWS_AS(LaneChoice(Ranks{{.max_wait = 0ms}}), std::invalid_argument);
  CHECK_THROWS_AS(LaneChoice(Ranks{{}}, 51), std::invalid_argument);
}

// Random lanes, arrivals and batch lengths; after every choice the promises of the header hold.
TEST_CASE("no lane starves and a high lane waits for one lower batch at most", "[lane_choice]") {
  const auto seed = GENERATE(range(1, 40));
  CAPTURE(seed);
  std::mt19937_64 random(static_cast<std::uint64_t>(seed));
  const auto below = [&](std::uint64_t limit) { return random() % limit; };

  const std::size_t lanes = 2 + below(7);
  std::vector<LaneRank> ranks;
  for (std::size_t i = 0; i < lanes; ++i)
    ranks.push_back(
        {.priority = static_cast<int>(below(10)), .max_wait = std::chrono::milliseconds(1000 + below(9000))});
  const int percent = seed % 2 ? 5 : 0;  // without a share, only max_wait guards
  LaneChoice choice(ranks, percent);
  LaneChoice twin(ranks, percent);

  struct Lane {
    std::size_t waiting = 0;
    LaneChoice::Time since{};        // waits without being served
    std::uint64_t batches = 0;       // chosen while it waited, since it began to wait
    std::uint64_t served = 0;        // of these
    std::uint64_t lower_before = 0;  // lower batches in a row while this was the highest
  };
  std::vector<Lane> model(lanes);
  auto now = kStart;
  const std::uint64_t load = 1 + below(3);
  for (int step = 0; step < 20'000; ++step) {
    for (Lane& lane : model) {
      const bool idle = lane.waiting == 0;
      if (below(lanes) < load) lane.waiting += below(300);
      if (idle && lane.waiting > 0) lane = {.waiting = lane.waiting, .since = now};
    }
    Counts waiting;
    for (const Lane& lane : model) waiting.push_back(lane.waiting);
    const auto chosen = choice.next(waiting, now);
    REQUIRE(chosen == twin.next(waiting, now));
    REQUIRE(chosen.has_value() ==
            std::any_of(waiting.begin(), waiting.end(), [](std::size_t n) { return n > 0; }));
    if (!chosen) {
      now += 1ms;
      continue;
    }
    REQUIRE(waiting[*chosen] > 0);

    int highest = 9;
    for (std::size_t i = 0; i < lanes; ++i)
      if (waiting[i] > 0) highest = std::min(highest, ranks[i].priority);
    for (std::size_t i = 0; i < lanes; ++i) {
      Lane& lane = model[i];
      if (lane.waiting == 0) continue;
      ++lane.batches;
      if (i == *chosen) {
        ++lane.served;
        lane.since = now;
      }
      REQUIRE(now - lane.since <= ranks[i].max_wait);
      if (percent) REQUIRE(lane.served + 2 >= lane.batches / 20);
      const bool passed_over = ranks[i].priority == highest && ranks[*chosen].priority > highest;
      lane.lower_before = passed_over ? lane.lower_before + 1 : 0;
      REQUIRE(lane.lower_before <= 1);
    }
    Lane& served = model[*chosen];
    served.waiting -= std::min<std::size_t>(served.waiting, 1 + below(256));
    now += std::chrono::microseconds(below(5'000));
  }
}
