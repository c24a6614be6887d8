#pragma once

#include "runtime/contract/transaction.h"

namespace cutover::score {

// Deletes some results, incrementals and runs that are older than the 90 days of the history, the current run
// excepted, and results that a run left behind without being published. Returns whether there are more.
bool forget_old_scores(Transaction& tx);

}  // namespace cutover::score
