#pragma once

#include <chrono>

#include "runtime/contract/transaction.h"

namespace cutover::search {

// Moves serving.search_watermark to the time up to which everything published is in the documents: back to the oldest
// event of the outbox that waits or is not settled yet, else to now. After an outage that was longer than the outbox keeps
// its rows, it stays until the lanes have reported that they have no backlog; before the first full reindex it stays, too.
//   stale_after  beyond it serving.search answers from the source
void move_watermark(Transaction& tx, std::chrono::milliseconds stale_after);

}  // namespace cutover::search
