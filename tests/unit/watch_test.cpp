#include "runtime/policy/watch.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace cutover;
using Catch::Matchers::ContainsSubstring;

namespace {

WatchFacts well() {
  WatchFacts facts;
  facts.drain_seconds = 1;
  facts.now = {10'000, 10, 100, 1.0};
  facts.before = {100'000, 100, 1'000, 10.0};
  return facts;
}

}  // namespace

TEST_CASE("a worker that does as well as the monolith did is left alone", "[watch]") {
  CHECK(over_limit(judge(well(), {})).empty());
}

TEST_CASE("each limit is noticed by itself", "[watch]") {
  WatchFacts facts = well();
  facts.drain_seconds = 120.1;
  CHECK_THAT(over_limit(judge(facts, {})), ContainsSubstring("lag: 120.1 s"));
  facts = well();
  facts.now.dead_letters = 21;  // twice what it was before
  CHECK_THAT(over_limit(judge(facts, {})), ContainsSubstring("dead_letters: 21 of 10000"));
  facts = well();
  facts.failing = 160;
  CHECK_THAT(over_limit(judge(facts, {})), ContainsSubstring("errors: 160 events"));
  facts = well();
  facts.now.batch_seconds = 101;
  CHECK_THAT(over_limit(judge(facts, {})), ContainsSubstring("batch_duration: 1010.0 ms a batch"));
  facts.before.batch_seconds = 1'000;  // it always took a second
  CHECK(over_limit(judge(facts, {})).empty());
}

TEST_CASE("a rate that was high before may stay so, and not double", "[watch]") {
  WatchFacts facts = well();
  facts.before.dead_letters = 1'000;  // 1 %
  facts.now.dead_letters = 200;
  CHECK(over_limit(judge(facts, {})).empty());
  facts.now.dead_letters = 201;
  CHECK_FALSE(over_limit(judge(facts, {})).empty());
}

TEST_CASE("too few events and a silent broker say nothing", "[watch]") {
  WatchFacts facts;
  for (const Finding& finding : judge(facts, {})) CHECK(finding.state == Finding::State::unknown);
  CHECK(over_limit(judge(facts, {})).empty());
}

TEST_CASE("a figure of what the worker makes may move by its limit, either way, and nobody guesses at one that is missing") {
  WatchFacts facts = well();
  facts.figures = {{"score_distribution", "mean score", 41.0, 36.5, 5}};
  CHECK(over_limit(judge(facts, {})).empty());
  facts.figures[0].now = 42.0;
  CHECK_THAT(over_limit(judge(facts, {})), ContainsSubstring("score_distribution: mean score 42.00, before 36.50, may move by 5"));
  facts.figures[0].now = 31.0;
  CHECK_THAT(over_limit(judge(facts, {})), ContainsSubstring("score_distribution: mean score 31.00"));
  for (const bool since : {true, false}) {
    facts.figures[0] = {"score_distribution", "mean score", since ? std::optional(99.0) : std::nullopt, since ? std::nullopt : std::optional(1.0), 5};
    const auto findings = judge(facts, {});
    CHECK(findings.back().name == "score_distribution");
    CHECK(findings.back().state == Finding::State::unknown);
    CHECK(over_limit(findings).empty());
  }
}

TEST_CASE("a few letters among few events are too many all the same", "[watch]") {
  WatchFacts facts = well();
  facts.now = {10, 3, 1, 0.1};
  CHECK_FALSE(over_limit(judge(facts, {})).empty());
  facts.now = {0, 3, 0, 0};
  CHECK_THAT(over_limit(judge(facts, {})), ContainsSubstring("100.000 %"));
}
