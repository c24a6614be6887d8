#pragma once

#include <span>
#include <vector>

#include "runtime/contract/worker.h"
#include "workers/dispute/case_event.h"

namespace cutover::dispute {

// The second step: decides the cases that were routed, and lets timers do what they were set for.
//   events    of the batch; `read` is what their payloads say, the same length; others than these two kinds are
//   passed over
//   verdicts  of the same length; set for messages that nothing can be done with
void adjudicate_cases(std::span<const Event> events, std::span<const CaseEvent> read, Transaction& tx,
                      EvidenceReader& reader, std::vector<Verdict>& verdicts);

}  // namespace cutover::dispute
