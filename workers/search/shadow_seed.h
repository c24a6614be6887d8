#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/contract/transaction.h"

namespace cutover::search {

// Brings the shadow documents to the state of the serving ones, beside a worker that writes them already.

struct SeedChunk {
  std::int64_t rows = 0;            // that were written
  std::optional<std::string> next;  // the document to go on behind; none at the end
};

// Empties the shadow tables of the worker.
void clear_shadow(Transaction& tx);

// Copies up to `limit` documents behind `after` ("" at first) that shadow does not have. A copy names no
// event.
SeedChunk copy_to_shadow(Transaction& tx, const std::string& after, std::uint64_t limit);

// Deletes copies of documents that serving does not have any more, looking at up to `limit` of them.
SeedChunk sweep_shadow(Transaction& tx, const std::string& after, std::uint64_t limit);

}  // namespace cutover::search
