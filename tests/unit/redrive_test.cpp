#include "runtime/policy/redrive.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <vector>

using namespace cutover;
using Catch::Matchers::ContainsSubstring;
using Kind = RedriveStep::Kind;

namespace {

// Everything that was sent has settled well.
RedriveFacts after(std::uint64_t taken, std::uint64_t waiting = 10'000) {
  RedriveFacts facts;
  facts.taken = facts.settled = taken;
  facts.waiting = waiting;
  return facts;
}

}  // namespace

TEST_CASE("a replay sends 1, 10, 100, each awaited, then the rest at the rate", "[redrive]") {
  RedriveFacts facts = after(0, 1'000);
  std::vector<std::uint64_t> sent;
  for (RedriveStep step = next_step(facts, {}); step.kind == Kind::send; step = next_step(facts, {})) {
    sent.push_back(step.count);
    facts.taken += step.count;
    facts.waiting -= step.count;
    if (facts.taken <= 111) {
      facts.in_flight = step.count;
      CHECK(next_step(facts, {}).kind == Kind::wait);
      facts.in_flight = 0;
    }
    facts.settled = facts.taken;
  }
  CHECK(sent == std::vector<std::uint64_t>{1, 10, 100, 100, 100, 100, 100, 100, 100, 100, 100, 89});
  CHECK(next_step(facts, {}).kind == Kind::finished);
}

TEST_CASE("a step that was cut off is completed", "[redrive]") {
  RedriveFacts facts = after(4);
  facts.in_flight = 3;
  const RedriveStep step = next_step(facts, {});
  CHECK(step.kind == Kind::send);
  CHECK(step.count == 7);
}

TEST_CASE("no more than two seconds of letters are in flight", "[redrive]") {
  RedriveFacts facts = after(500);
  facts.in_flight = 150;
  CHECK(next_step(facts, {}).count == 50);
  facts.in_flight = 200;
  CHECK(next_step(facts, {}).kind == Kind::wait);
}

TEST_CASE("what is in flight is awaited at the end", "[redrive]") {
  RedriveFacts facts = after(500, 0);
  facts.in_flight = 1;
  CHECK(next_step(facts, {}).kind == Kind::wait);
}

TEST_CASE("a failing share above the limit stops it, at the first step already", "[redrive]") {
  RedriveFacts facts = after(1);
  facts.failed = 1;
  const RedriveStep step = next_step(facts, {});
  CHECK(step.kind == Kind::stop);
  CHECK_THAT(step.because, ContainsSubstring("1 of 1 failed again: 100.0 %, at most 10 %"));
  facts = after(100);
  facts.failed = 10;
  CHECK(next_step(facts, {}).kind != Kind::stop);
  facts.failed = 11;
  CHECK(next_step(facts, {}).kind == Kind::stop);
}

TEST_CASE("a replay whose last letters fail is done: there is nothing left to hold back", "[redrive]") {
  RedriveFacts facts = after(1, 0);
  facts.failed = 1;
  CHECK(next_step(facts, {}).kind == Kind::finished);
  facts.in_flight = 1;
  CHECK(next_step(facts, {}).kind == Kind::wait);
}

TEST_CASE("live lanes that become slow stop it; noise and a missing figure do not", "[redrive]") {
  RedriveFacts facts = after(111);
  facts.latency_before_ms = 200;
  CHECK(next_step(facts, {}).kind == Kind::send);
  facts.latency_now_ms = 399;
  CHECK(next_step(facts, {}).kind == Kind::send);
  facts.latency_now_ms = 401;
  const RedriveStep step = next_step(facts, {});
  CHECK(step.kind == Kind::stop);
  CHECK_THAT(step.because, ContainsSubstring("took 401 ms, and 200 ms before"));
  facts.latency_before_ms = 5;
  facts.latency_now_ms = 100;
  CHECK(next_step(facts, {}).kind == Kind::send);
}
