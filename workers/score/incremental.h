#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/contract/event.h"
#include "runtime/contract/transaction.h"

namespace cutover::score {

// How much one request recomputes, so that its transaction ends within seconds; for what is beyond it a batch
// is queued.
struct IncrementalLimits {
  std::size_t principals = 5'000;  // neighbours included; above it the named ones only
  // Contacts that are read: those of the neighbours' neighbours too. Above it without large neighbours, else
  // the named ones, else none.
  std::int64_t contacts = 1'000'000;
  std::int64_t large = 20'000;  // contacts of a large neighbour, either way
};

// Recomputes the named principals and their direct neighbours from the rows as they are now, as a batch at
// the same t would: writes score_updates, and score.incremental_computed and score.explanation_updated.
//   cause   the latest of the merged requests; its time is t
//   named   ascending, each once
//   throws  RefusedRow, and what `tx` throws
void recompute(Transaction& tx, const Event& cause, std::span<const std::int64_t> named,
               const IncrementalLimits& limits = {});

}  // namespace cutover::score
