#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "runtime/contract/transaction.h"

namespace cutover::cli {

// How the tables of a worker in schema `shadow` get the state of `serving` from which shadow begins. main.cpp
// fills this in from the worker's own functions. Each function works in a transaction of its own; tables are
// named with their schema.
struct ShadowSeed {
  struct Chunk {
    std::int64_t rows = 0;            // that were written
    std::optional<std::string> next;  // where to go on; none at the end
  };
  std::string worker;
  // Empties the shadow tables. Called while the worker is not in shadow.
  std::function<void(Transaction&)> clear;
  // Copies some rows behind a key ("" at first). The worker writes beside it: what it has written already is
  // newer and stays. A copy carries no stream and sequence, which tells it from what the worker wrote.
  std::function<Chunk(Transaction&, const std::string& after)> copy;
  // Once both sides have worked on everything that there was when the copy ended: removes copies of rows that
  // serving does not have any more. The worker had seen their end before the copy brought them back.
  std::function<Chunk(Transaction&, const std::string& after)> sweep;
};

}  // namespace cutover::cli
