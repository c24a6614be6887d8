#include "runtime/policy/sequence_set.h"

#include <random>
#include <set>
#include <stdexcept>

#include <catch2/catch_test_macros.hpp>

using namespace cutover;

namespace {

SequenceSet of(std::initializer_list<SequenceRange> ranges) {
  SequenceSet set;
  for (const SequenceRange& range : ranges) set.add(range);
  return set;
}

std::set<std::uint64_t> members(const SequenceSet& set) {
  std::set<std::uint64_t> all;
  for (const SequenceRange& range : set.ranges())
    for (std::uint64_t s = range.begin; s < range.end; ++s) all.insert(s);
  return all;
}

}  // namespace

TEST_CASE("ranges that touch or overlap become one, in whatever order they come", "[sequence_set]") {
  CHECK(of({{1, 3}, {3, 5}, {4, 6}}) == of({{1, 6}}));
  CHECK(of({{10, 12}, {1, 3}, {2, 10}}) == of({{1, 12}}));
  CHECK(of({{5, 5}, {7, 6}}).empty());
  CHECK(of({{1, 3}, {9, 11}}).count() == 4);
}

TEST_CASE("union, intersection and difference are those of the members", "[sequence_set]") {
  std::mt19937 random(7);
  for (int round = 0; round < 2'000; ++round) {
    SequenceSet sets[2];
    for (SequenceSet& set : sets)
      for (unsigned n = random() % 8; n > 0; --n) {
        const std::uint64_t begin = random() % 40;
        set.add({begin, begin + random() % 6});
      }
    const auto a = members(sets[0]), b = members(sets[1]);
    std::set<std::uint64_t> either = a, both, rest;
    either.insert(b.begin(), b.end());
    for (const std::uint64_t s : a) (b.contains(s) ? both : rest).insert(s);
    CHECK(members(sets[0] | sets[1]) == either);
    CHECK(members(sets[0] & sets[1]) == both);
    CHECK(members(sets[0] - sets[1]) == rest);
    CHECK((sets[0] | sets[1]).count() == either.size());
    for (std::uint64_t s = 0; s < 50; ++s) CHECK(sets[0].contains(s) == a.contains(s));
  }
}

TEST_CASE("stretches bridge small gaps", "[sequence_set]") {
  const SequenceSet set = of({{1, 2}, {5, 6}, {100, 101}});
  CHECK(set.stretches(3) == std::vector<SequenceRange>{{1, 6}, {100, 101}});
  CHECK(set.stretches(2) == set.ranges());
}

TEST_CASE("a multirange is read as PostgreSQL writes it", "[sequence_set]") {
  CHECK(parse_sequence_set("{}").empty());
  CHECK(parse_sequence_set("{[1,5),[7,9)}") == of({{1, 5}, {7, 9}}));
  CHECK(parse_sequence_set("{[9223372036854775806,9223372036854775807)}").count() == 1);
  for (const char* wrong :
       {"", "{", "[1,2)", "{[1,2]}", "{[1,)}", "{(,5)}", "{[-3,5)}", "{[1,2)[3,4)}", "{[5,5)}", "{[1,2),}"})
    CHECK_THROWS_AS(parse_sequence_set(wrong), std::invalid_argument);
}
