#pragma once

#include <span>

#include "runtime/contract/worker.h"
#include "workers/dispute/case_event.h"

namespace cutover::dispute {

// The second step: decides the cases that were routed, and lets timers do what they were set for.
//   events  of the batch; `read` is what their payloads say, the same length; others than these two kinds are
//   passed over
void adjudicate_cases(std::span<const Event> events, std::span<const CaseEvent> read, Transaction& tx,
                      EvidenceReader& reader);

}  // namespace cutover::dispute
