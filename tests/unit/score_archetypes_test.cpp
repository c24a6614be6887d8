#include <cmath>
#include <map>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include "unit/score_world.h"

// Ten kinds of people as real little networks: their neighbours exist, have edges of their own, and a
// strength near 30.

namespace cutover::test {
namespace {

using score::Band;
using score::ChannelKind;
using score::IncidentKind;
using score::Result;

struct Archetype {
  std::string name;
  int contacts;
  double mutual;  // share that is answered
  double confidence;
  double verified;  // share of the top 50 with a verified channel
  double tie_days;
  double lost;  // c
  double channel_days;
  int kinds;
  double open_pairs;  // B
  double in_circles;
  double least, most;
  double closed_form;
};

const Archetype kClose{"close circle", 50, .9, .95, .95, 400, 0, 400, 2, .5, .8, 80, 95, 81.0};
const Archetype kBridge{"bridge builder", 200, .6, .9, .9, 90, .02, 400, 2, .9, .6, 75, 90, 81.5};
const Archetype kPower{"power networker", 2000, .3, .9, .8, 80, .05, 400, 2, .75, .3, 70, 85, 72.2};
const Archetype kFamily{"family focused", 30, .95, .95, .95, 400, 0, 400, 2, .15, .9, 70, 85, 74.2};
const Archetype kProfessional{"professional", 500, .5, .9, .8, 80, .05, 400, 2, .6, .4, 65, 80, 73.8};
const Archetype kCasual{"casual", 150, .4, .8, .5, 60, .1, 200, 1, .4, .2, 45, 60, 56.1};
const Archetype kFlagged{"flagged", 100, .4, .9, .85, 80, .1, 400, 2, .4, .3, 30, 50, 42.9};
const Archetype kNew{"new user", 20, .6, .8, .4, 7, 0, 7, 1, .3, .3, 25, 40, 39.1};
const Archetype kGhost{"ghost", 300, .1, .6, .3, 60, .2, 200, 1, .5, 0, 20, 35, 34.8};
const Archetype kSpam{"spam adder", 5000, .05, .5, .3, 5, .1, 30, 1, .9, 0, 15, 30, 24.3};

// Spreads a share evenly: true for about share * n of the first n numbers, for every n.
bool spread(int i, double share) {
  return std::floor((i + 1) * share + 1e-9) > std::floor(i * share + 1e-9);
}

constexpr std::int64_t kPerson = 1, kFirstContact = 1'000, kFirstStranger = 100'000;
constexpr double kNeighbourStrength = 30;
constexpr std::size_t kPairsOf = 64;

ScoreWorld network(const Archetype& a) {
  ScoreWorld world;
  world.principal(kPerson);
  if (a.kinds > 0) world.channel(kPerson, {ChannelKind::phone, a.channel_days});
  if (a.kinds > 1) world.channel(kPerson, {ChannelKind::email, a.channel_days});
  world.lost(kPerson, static_cast<std::uint32_t>(std::lround(a.lost / (1 - a.lost) * a.contacts)));
  std::vector<std::int64_t> neighbours;
  for (int i = 0; i < a.contacts; ++i) {
    const std::int64_t contact = kFirstContact + i;
    Tie tie{kPerson, contact, a.confidence, a.tie_days, 0, false, spread(i, a.in_circles)};
    if (a.name == kSpam.name && i >= 4500) tie.first_age = 60;  // the 500 that were there before
    world.tie(tie);
    if (spread(i, a.verified)) world.channel(contact, {});
    if (!spread(i, a.mutual)) continue;
    world.tie({contact, kPerson, a.confidence, a.tie_days});
    neighbours.push_back(contact);
  }
  // Pairs of the neighbours that B looks at.
  std::map<std::int64_t, double> strength;
  const std::size_t looked_at = std::min(neighbours.size(), kPairsOf);
  int pair = 0;
  for (std::size_t i = 0; i < looked_at; ++i)
    for (std::size_t k = i + 1; k < looked_at; ++k)
      if (spread(pair++, 1 - a.open_pairs)) {
        world.both_ways({neighbours[i], neighbours[k], a.confidence});
        strength[neighbours[i]] += a.confidence;
        strength[neighbours[k]] += a.confidence;
      }
  // Ties to strangers of theirs bring each of them to its strength.
  for (const std::int64_t neighbour : neighbours)
    for (std::int64_t stranger = kFirstStranger; strength[neighbour] + a.confidence < kNeighbourStrength;
         ++stranger) {
      world.both_ways({neighbour, stranger, 0.9});
      strength[neighbour] += 0.9;
    }
  return world;
}

Result result_of(const Archetype& archetype) {
  ScoreWorld world = network(archetype);
  if (archetype.name == kFlagged.name)
    world.incident(kPerson, {IncidentKind::dispute, Band::moderate, 5, std::nullopt});
  return world.of(kPerson);
}

}  // namespace

TEST_CASE("each archetype lands in its range and near the closed form", "[score]") {
  for (const Archetype& archetype :
       {kClose, kBridge, kPower, kFamily, kProfessional, kCasual, kFlagged, kNew, kGhost, kSpam}) {
    const Result result = result_of(archetype);
    INFO(archetype.name << ": " << result.score << " Q " << result.quality << " P " << result.position
                        << " S " << result.stability << " T " << result.trust << " penalty " << result.penalty
                        << " edges " << result.edges);
    CHECK(result.edges == static_cast<std::uint32_t>(archetype.contacts));
    CHECK(result.score >= archetype.least);
    CHECK(result.score <= archetype.most);
    CHECK(std::abs(result.score - archetype.closed_form) < 2.5);
  }
}

TEST_CASE("the archetypes stand in their order", "[score]") {
  const double spam = result_of(kSpam).score;
  CHECK(result_of(kClose).score > result_of(kPower).score);
  CHECK(result_of(kBridge).score > result_of(kGhost).score);
  for (const Archetype& other : {kClose, kBridge, kPower, kFamily, kProfessional, kCasual, kNew, kGhost})
    CHECK(spam < result_of(other).score);
}

TEST_CASE("an open dispute of band moderate costs exactly 20 points", "[score]") {
  Archetype unflagged = kFlagged;
  unflagged.name = "the same person without it";
  CHECK(std::abs(result_of(unflagged).score - result_of(kFlagged).score - 20) < 1e-9);
}

}  // namespace cutover::test
