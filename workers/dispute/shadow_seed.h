#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/contract/transaction.h"

namespace cutover::dispute {

// Brings the shadow cases to the state of the serving ones, beside a worker that writes them already.

struct SeedChunk {
  std::int64_t rows = 0;            // that were written
  std::optional<std::string> next;  // the case to go on behind; none at the end
};

// Empties the shadow tables of the worker, and cancels the timers of shadow.
void clear_shadow(Transaction& tx);

// Copies up to `limit` cases behind `after` ("" at first) that shadow does not have, with all of their rows, and arms their timers
// in shadow. The queue row of a copy names no event.
SeedChunk copy_to_shadow(Transaction& tx, const std::string& after, std::uint64_t limit);

}  // namespace cutover::dispute
