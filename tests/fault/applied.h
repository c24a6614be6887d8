#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "fault/steady_load.h"
#include "fixtures/test_database.h"

namespace cutover::test {

// A row of `effects`: what a side did.
struct Applied {
  std::string idempotency_key, key, side;
  std::uint64_t sequence = 0;
  std::int64_t version = 0;
  std::int64_t serial = 0;  // grows in the order in which rows of a key were written
  std::chrono::system_clock::time_point committed;
};

// In the order of `serial`.
std::vector<Applied> read_applied(TestDatabase& db, const std::string& table = "effects");

// What is wrong with a hand-over of events that are all settled, in words; empty when each event was applied
// once, by the side that the segments name for its place, when no place is settled twice or by nobody, and
// each copy is a duplicate. It knows whose a place is from the rows of cutover.ownership and its own reading
// of the rule, and asks no code under test.
//   sent     by sequence
//   ordered  also, that each key's versions were applied in their order
std::vector<std::string> faults(TestDatabase& db, const std::string& worker,
                                const std::vector<SentEvent>& sent, bool ordered);

}  // namespace cutover::test
