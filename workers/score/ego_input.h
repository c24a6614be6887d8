#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runtime/contract/transaction.h"
#include "workers/score/domain/graph.h"
#include "workers/score/domain/id_index.h"
#include "workers/score/domain/scoring.h"
#include "workers/score/domain/standing.h"

namespace cutover::score {

// As much of the network as the scores of some principals depend on.
struct EgoInput {
  IdIndex principals;  // all that are named in it, eligible ones only
  std::vector<Standing> standings;
  std::unique_ptr<Graph> graph;
  std::vector<std::uint32_t> filled, complete, wanted;  // of Scope
  std::vector<std::int64_t> gone;                       // of those asked for: without a score

  Scope scope() const { return {filled, complete, wanted}; }
};

// Those among the neighbours of some principals, either way; stops beyond `limit`. Ascending.
std::vector<std::int64_t> neighbours_of(Transaction& tx, std::span<const std::int64_t> principals,
                                        std::size_t limit);

// Reads the source around some principals (ascending). Nothing when more than `contacts_max` contacts would
// have to be read.
//   throws  RefusedRow, and what `tx` throws
std::unique_ptr<EgoInput> read_around(Transaction& tx, std::span<const std::int64_t> principals,
                                      const Weights& weights, Micros t, std::int64_t contacts_max);

}  // namespace cutover::score
