#pragma once

#include <span>
#include <vector>

#include "runtime/contract/worker.h"
#include "workers/dispute/case_event.h"

namespace cutover::dispute {

// The first step: takes case events in, classifies the cases and puts them into their lanes.
//   events    of the batch; `read` is what their payloads say, the same length
//   verdicts  of the same length; set for events that cannot be taken in
void take_in(std::span<const Event> events, std::span<const CaseEvent> read, Transaction& tx,
             std::vector<Verdict>& verdicts);

}  // namespace cutover::dispute
