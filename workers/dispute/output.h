#pragma once

#include "runtime/contract/output.h"

namespace cutover::dispute {

// The decisions, as `cutover compare` compares them: rule, outcome, lane, hold and actions are identical,
// without tolerance and without ignore rules.
Output decisions_output();
// Where each case stands by now, but for what depends on the order among several cases or on the clock: who
// got a channel first, and reasons and lane, since only a case that is not resolved yet gets a reason.
Output cases_output();

}  // namespace cutover::dispute
