#pragma once

#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "property/world.h"

namespace cutover::test {

// One step of a schedule, as data.
struct Action {
  std::string name;
  int a = 0, b = 0, c = 0, d = 0;
  std::string text{};
};
// "claim 1" and the like.
std::string in_words(const Action& action);

// What a run may draw: each seed draws its own faults and commands, so that schedules stay short and differ.
struct Plan {
  WorldSettings world;
  std::set<std::string> on;
  int steps = 0;
};
// focus  faults and commands that are on in any case; the others are rarer then
Plan plan_of(std::uint64_t seed, const std::set<std::string>& focus);

// Applies an action; false when it is not possible now.
bool apply(World& world, const Action& action);

struct Failure {
  Violation violation;
  std::vector<Action> schedule;  // to replay by `run_schedule`
};
// A random schedule of this seed, to its end. name: unique in the database.
std::optional<Failure> run_random(const TestDatabase& database, const std::string& name, std::uint64_t seed, const std::set<std::string>& focus);
// The same actions again; those that are not possible are passed over.
std::optional<Failure> run_schedule(const TestDatabase& database, const std::string& name, const WorldSettings& world, const std::vector<Action>& schedule);
// A shorter schedule that breaks the same invariant.
Failure shrink(const TestDatabase& database, const std::string& name, const WorldSettings& world, Failure failure);

}  // namespace cutover::test
