#include <cmath>
#include <random>

#include <catch2/catch_test_macros.hpp>

#include "unit/score_world.h"

namespace cutover::test {
namespace {

using score::Band;
using score::ChannelKind;
using score::IncidentKind;
using score::Reason;
using score::Result;

bool near(double a, double b) {
  return std::abs(a - b) < 1e-9;
}

// Ages that meet every branch: future, fresh, fading, gone, at the borders, and recent ones that are damped.
double some_age(std::mt19937_64& random) {
  const double borders[] = {-30, -0.001, 0, 7, 90, 365};
  switch (random() % 4) {
    case 0:
      return borders[random() % std::size(borders)];
    case 1:
      return static_cast<double>(random() % 7'000) / 1'000;
    case 2:
      return static_cast<double>(random() % 90);
    default:
      return static_cast<double>(random() % 500);
  }
}

ScoreWorld random_world(std::uint64_t seed, int people, int ties_each) {
  std::mt19937_64 random(seed);
  ScoreWorld world;
  const auto share = [&](int percent) { return static_cast<int>(random() % 100) < percent; };
  for (int id = 1; id <= people; ++id) {
    world.principal(id);
    if (share(60)) world.channel(id, {share(50) ? ChannelKind::phone : ChannelKind::email, some_age(random)});
    if (share(20)) world.channel(id, {ChannelKind::other, some_age(random)});
    for (int i = 0; share(20) && i < 4; ++i)
      world.incident(id, {static_cast<IncidentKind>(random() % 4), static_cast<Band>(random() % 3),
                          some_age(random), share(50) ? std::optional(some_age(random)) : std::nullopt});
    world.lost(id, share(30) ? static_cast<std::uint32_t>(random() % 20) : 0);
    for (int target = 1; target <= people; ++target)
      if (target != id && share(100 * ties_each / people))
        world.tie({id, target, share(5) ? 0.0 : static_cast<double>(random() % 1001) / 1000, some_age(random),
                   some_age(random), share(20), share(30)});
  }
  return world;
}

}  // namespace

TEST_CASE("scores agree with a plain reading of the formula", "[score]") {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const ScoreWorld world = random_world(seed, seed < 4 ? 40 : 150, seed < 4 ? 20 : 110);
    const auto plain = world.plainly();
    for (const auto& [id, result] : world.compute()) {
      const Result& expected = plain.at(id);
      INFO("seed " << seed << " principal " << id);
      CHECK(result.edges == expected.edges);
      CHECK(near(result.quality, expected.quality));
      CHECK(near(result.position, expected.position));
      CHECK(near(result.stability, expected.stability));
      CHECK(near(result.trust, expected.trust));
      CHECK(near(result.penalty, expected.penalty));
      CHECK(near(result.score, expected.score));
    }
  }
}

TEST_CASE("scores do not depend on the number of threads, bit for bit", "[score]") {
  const ScoreWorld world = random_world(7, 300, 60);
  CHECK(world.compute(1) == world.compute(4));
}

TEST_CASE("without edges only the own channel and trust count", "[score]") {
  ScoreWorld world;
  world.principal(1);
  world.channel(1, {ChannelKind::phone, 45});
  world.lost(1, 3);
  const Result result = world.of(1);
  CHECK(result.quality == 0);
  CHECK(result.position == 0);
  CHECK(near(result.stability, 0.4 * 0.5));
  CHECK(near(result.trust, 0.5 + 0.15 + 0.2));
  CHECK(near(result.score, 20 * 0.2 + 10 * 0.85));
}

TEST_CASE("edges that nobody answers give no position", "[score]") {
  ScoreWorld world;
  for (int target = 2; target <= 11; ++target) world.tie({1, target, 0.8});
  const Result result = world.of(1);
  CHECK(result.position == 0);
  CHECK(near(result.quality, 0.2 * 0.8 * 10 / 15));
  CHECK(near(result.stability, 0.6 * 0.25));
}

TEST_CASE("edges of weight 0 are none", "[score]") {
  ScoreWorld world;
  world.both_ways({1, 2, 0.0});
  world.both_ways({1, 3, 0.9, 400, 365});
  world.both_ways({1, 4, -0.0});
  world.both_ways({1, 5, 0.9});
  CHECK(world.of(1).edges == 1);
  CHECK(world.of(2).edges == 0);
  CHECK(world.of(3).score == world.of(2).score);
}

TEST_CASE("an age in the future counts as none", "[score]") {
  ScoreWorld now, future;
  now.both_ways({1, 2, 0.9, 0, 0});
  future.both_ways({1, 2, 0.9, -10, -10});
  now.channel(1, {ChannelKind::phone, 0});
  future.channel(1, {ChannelKind::phone, -20});
  now.incident(1, {IncidentKind::abuse_flag, Band::hard, 0, 0});
  future.incident(1, {IncidentKind::abuse_flag, Band::hard, -5, -5});
  CHECK(now.of(1) == future.of(1));
  CHECK(near(now.of(1).penalty, 30));
}

TEST_CASE("what lies in the future is not of the last days", "[score]") {
  const auto trust = [](double age) {
    ScoreWorld world;
    world.principal(1);
    world.incident(1, {IncidentKind::forced_recovery, Band::soft, age, 400});
    return world.of(1).trust;
  };
  CHECK(near(trust(0), 0.2));
  CHECK(near(trust(89.9), 0.2));
  CHECK(near(trust(90), 0.7));
  CHECK(near(trust(-0.001), 0.7));
}

TEST_CASE("of edges with one weight those with the smallest targets are the top 50", "[score]") {
  for (const bool first : {true, false}) {
    ScoreWorld world;
    for (int i = 0; i < 60; ++i) {
      world.tie({1, 100 + i, 0.9});
      if (first == (i < 50)) world.channel(100 + i, {});
    }
    // 1 * 0.3 for V, or none of it
    CHECK(near(world.of(1).quality, (0.2 * 0.9 + (first ? 0.3 : 0)) * 60 / 65));
  }
}

TEST_CASE("of neighbours with one weight the 64 with the smallest ids are looked at", "[score]") {
  ScoreWorld world;
  for (int i = 0; i < 80; ++i) world.both_ways({1, 100 + i, 0.9});
  const double open = world.of(1).position;
  world.both_ways({100 + 64, 100 + 65, 0.9});  // behind the cut
  CHECK(world.plainly().at(1).position == world.of(1).position);
  world.both_ways({100, 100 + 63, 0.9});
  CHECK(world.of(1).position < open);
  CHECK(near(world.plainly().at(1).position, world.of(1).position));
}

TEST_CASE("of equally old recent edges those with the smallest targets are not damped", "[score]") {
  ScoreWorld world;
  for (int i = 0; i < 52; ++i) world.both_ways({1, 100 + i, 1.0, 3, 0});
  // The neighbours' strength is that of the one edge: 1 for the first 50, 0.1 behind.
  const auto results = world.compute();
  CHECK(results.at(149).position > results.at(150).position);
  CHECK(results.at(150).position == results.at(151).position);
}

TEST_CASE("an edge without weight takes its place among the recent ones", "[score]") {
  ScoreWorld world;
  for (int i = 0; i < 50; ++i) world.tie({1, 100 + i, 0.0, 3, 0});
  world.both_ways({1, 200, 1.0, 2, 0});  // the 51st
  world.both_ways({2, 201, 1.0, 2, 0});
  CHECK(world.of(200).position < world.of(201).position);
}

TEST_CASE("recent edges rank by the time of the first sight", "[score]") {
  ScoreWorld world;
  for (int i = 0; i < 51; ++i)
    world.both_ways({1, 300 - i, 1.0, 6.9 - i * 0.1, 0});  // the smaller the target the later
  const auto results = world.compute();
  CHECK(results.at(250).position < results.at(251).position);
  CHECK(results.at(300).position == results.at(251).position);
}

TEST_CASE("edges that are first seen in the future are not ranked among the recent ones", "[score]") {
  ScoreWorld world;
  for (int i = 0; i < 51; ++i) world.both_ways({1, 100 + i, 1.0, -1.0 - i, 0});
  for (int i = 0; i < 60; ++i) world.tie({1, 500 + i, 0.0, -1, 0});
  for (int i = 0; i < 50; ++i) world.both_ways({1, 200 + i, 1.0, 3, 0});
  const auto results = world.compute();
  CHECK(results.at(100).position == results.at(150).position);
  CHECK(results.at(200).position == results.at(100).position);
  CHECK(results.at(249).position == results.at(100).position);
}

TEST_CASE("a cleared incident fades, an open one does not, and all together are limited", "[score]") {
  const auto penalty = [](std::vector<Incident> incidents) {
    ScoreWorld world;
    world.principal(1);
    for (const Incident& incident : incidents) world.incident(1, incident);
    return world.of(1).penalty;
  };
  CHECK(near(penalty({{IncidentKind::abuse_flag, Band::soft, 500, std::nullopt}}), 8));
  CHECK(near(penalty({{IncidentKind::abuse_flag, Band::soft, 500, 15}}), 4));
  CHECK(near(penalty({{IncidentKind::abuse_flag, Band::moderate, 500, 15}}), 11.25));
  CHECK(near(penalty({{IncidentKind::abuse_flag, Band::hard, 500, 90}}), 0));
  CHECK(near(penalty({{IncidentKind::dispute, Band::hard, 5, std::nullopt},
                      {IncidentKind::dispute, Band::soft, 5, std::nullopt}}),
             30));
}

TEST_CASE("a score never leaves 0 to 100", "[score]") {
  ScoreWorld world;
  world.principal(1);
  world.incident(1, {IncidentKind::dispute, Band::hard, 5, std::nullopt});
  CHECK(world.of(1).score == 0);
}

TEST_CASE("reasons name what gave and what cost most", "[score]") {
  ScoreWorld world;
  for (int i = 0; i < 60; ++i) world.both_ways({1, 100 + i, 0.9});
  world.incident(1, {IncidentKind::abuse_flag, Band::hard, 5, std::nullopt});
  const Result result = world.of(1);
  CHECK(result.up[0] == Reason::mutual_ties);
  CHECK(result.up[1] == Reason::bridging);
  CHECK(result.down[0] == Reason::no_penalty);
  CHECK(result.down[1] == Reason::verified_contacts);
}

TEST_CASE("weights refuse what the formula cannot work with", "[score]") {
  score::Weights weights;
  CHECK_FALSE(set_weight(weights, "fresh_days", 30));
  CHECK(weights.fresh_days == 30);
  CHECK(set_weight(weights, "fresh_dys", 30) == "there is no weight fresh_dys");
  CHECK(set_weight(weights, "stale_days", 4000));
  CHECK(set_weight(weights, "damped", std::nan("")));
  CHECK_FALSE(complaint_about(weights));
  weights.quality = 0.5;
  CHECK(complaint_about(weights));
  CHECK(named(weights).size() == sizeof(score::Weights) / sizeof(double));
}

}  // namespace cutover::test
