#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/contract/transaction.h"

namespace cutover::score {

// Brings shadow's scores to the state of the serving ones, beside a worker that writes them already.

struct SeedChunk {
  std::int64_t rows = 0;            // that were written
  std::optional<std::string> next;  // the principal to go on behind; none at the end
};

// Empties the shadow tables of the worker.
void clear_shadow(Transaction& tx);

// Copies up to `limit` scores behind `after` ("" at first) as results without an event. What the worker
// computed at the same time stays.
SeedChunk copy_to_shadow(Transaction& tx, const std::string& after, std::int64_t limit);

}  // namespace cutover::score
