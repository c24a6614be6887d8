#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/contract/event.h"
#include "runtime/contract/transaction.h"

namespace cutover::score {

// So many principals one request recomputes at most, neighbours included; above it only the named ones, and a
// batch is queued.
inline constexpr std::size_t kPrincipalsMax = 5'000;
// So many contacts may have to be read for it; above it there is nothing but the batch.
inline constexpr std::int64_t kContactsMax = 3'000'000;

// Recomputes the named principals and their direct neighbours from the rows as they are now, as a batch at
// the same t would: writes score_updates, and score.incremental_computed and score.explanation_updated.
//   cause   the latest of the merged requests; its time is t
//   named   ascending, each once
//   throws  RefusedRow, and what `tx` throws
void recompute(Transaction& tx, const Event& cause, std::span<const std::int64_t> named);

}  // namespace cutover::score
