// The SQL functions of claim, settle, flip, seize and expiry on a real PostgreSQL, driven through random schedules of
// everything that may happen to two sides, and checked against the invariants of world.h at every step.
//   CUTOVER_TEST_SEED=N   that seed alone       CUTOVER_TEST_LONG=1   many more seeds
#include <catch2/catch_test_macros.hpp>

#include <cstdlib>

#include "property/mutants.h"
#include "property/schedule.h"

using namespace cutover;
using namespace cutover::test;

namespace {

// Vacuum that truncates a table locks it for a moment, even for those who only read it.
struct LedgerDatabase : TestDatabase {
  LedgerDatabase() { query("ALTER TABLE cutover.outbox SET (vacuum_truncate = off)"); }
};

std::string story(const TestDatabase& database, std::uint64_t seed, const std::set<std::string>& focus, Failure failure) {
  const Plan plan = plan_of(seed, focus);
  failure = shrink(database, "shrink" + std::to_string(seed), plan.world, std::move(failure));
  std::string text = "seed " + std::to_string(seed) + ": " + failure.violation.what() + "\nordered " + std::to_string(plan.world.ordered) + ", lanes " +
                     std::to_string(plan.world.lanes) + ", instances " + std::to_string(plan.world.instances) + ", segments " +
                     std::to_string(plan.world.segments);
  for (const Action& action : failure.schedule) text += "\n  " + in_words(action);
  return text;
}

}  // namespace

TEST_CASE("no schedule of two sides breaks an invariant", "[property]") {
  LedgerDatabase database;
  std::uint64_t first = 1, last = std::getenv("CUTOVER_TEST_LONG") ? 3'000 : 60;
  if (const char* seed = std::getenv("CUTOVER_TEST_SEED")) first = last = std::strtoull(seed, nullptr, 10);
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    auto failure = run_random(database, std::to_string(seed), seed, {});
    if (failure) FAIL(story(database, seed, {}, *failure));
  }
}

TEST_CASE("each rule that is broken on purpose is noticed", "[property]") {
  constexpr std::uint64_t kSeeds = 60;
  LedgerDatabase sound;
  for (const Mutant& mutant : mutants()) {
    DYNAMIC_SECTION(mutant.name) {
      LedgerDatabase database;
      apply_mutant(database, mutant);
      const std::uint64_t end = mutant.first_seed + kSeeds;
      std::uint64_t seed = mutant.first_seed;
      while (seed < end && !run_random(database, std::to_string(seed), seed, mutant.focus)) ++seed;
      CHECK(seed < end);
      if (seed != mutant.first_seed) WARN("noticed by seed " << seed << " only: make it the first");
      // The same schedule with the rule as it is.
      auto failure = run_random(sound, "sound" + std::to_string(seed), seed, mutant.focus);
      if (failure) FAIL(story(sound, seed, mutant.focus, *failure));
    }
  }
}
