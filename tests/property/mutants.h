#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "fixtures/test_database.h"

namespace cutover::test {

// One rule of the SQL functions, broken on purpose by an edit of their text. The property test must notice each.
struct Mutant {
  std::string name;
  std::uint64_t first_seed;  // of the schedules to try; the first one is known to show it
  struct Edit {
    std::string function;  // cutover.claim
    std::string from, to;  // `from` must be in it
  };
  std::vector<Edit> edits;
  std::set<std::string> focus;  // what a schedule needs for it to show
};

const std::vector<Mutant>& mutants();

// Replaces the functions in this database. Throws when a text is not found: the mutant must follow the function.
void apply_mutant(TestDatabase& database, const Mutant& mutant);

}  // namespace cutover::test
