#pragma once

#include <cstdint>
#include <vector>

#include "runtime/contract/transaction.h"
#include "workers/score/domain/distribution.h"

namespace cutover::score {

// The results of a run, ascending by principal. Unqualified tables.
std::vector<Scored> scores_of_run(Transaction& tx, std::int64_t run);

// Looks after the active formula version 1, 6, 24, 48 and 72 hours after its activation: compares its newest
// run with the last one of the version before. Beyond the limits the version before becomes active again, and
// a batch is asked for. Notes each look in score_formula_checks; does nothing while none is due.
void watch_formula(Transaction& tx);

// Makes a candidate the active version; the active one retires. Throws std::invalid_argument when it is no
// candidate.
void activate_formula(Transaction& tx, std::string_view formula, std::string_view reason);

}  // namespace cutover::score
