#include "runtime/event/event_arena.h"

#include <cstring>
#include <vector>

#include <catch2/catch_test_macros.hpp>

using namespace cutover;

TEST_CASE("memory stays where it is until the arena is reset", "[event_arena]") {
  EventArena arena;
  std::vector<char*> pieces;
  for (int i = 0; i < 1000; ++i) {
    pieces.push_back(arena.take(100));
    std::memset(pieces.back(), i % 128, 100);
  }
  for (int i = 0; i < 1000; ++i)
    for (int k = 0; k < 100; ++k) REQUIRE(pieces[static_cast<std::size_t>(i)][k] == i % 128);
}

TEST_CASE("a reset keeps one ordinary block", "[event_arena]") {
  EventArena arena;
  CHECK(arena.capacity() == 0);
  arena.take(10);
  const std::size_t one = arena.capacity();
  for (int i = 0; i < 10'000; ++i) arena.take(100);
  CHECK(arena.capacity() > 10 * one);
  arena.reset();
  CHECK(arena.capacity() == one);
  arena.take(10 * one);  // larger than a block
  arena.reset();
  CHECK(arena.capacity() == one);
  EventArena large;
  large.take(10 * one);
  large.reset();
  CHECK(large.capacity() == 0);
}
