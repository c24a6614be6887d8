#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "runtime/contract/worker.h"
#include "workers/score/domain/graph.h"
#include "workers/score/domain/id_index.h"
#include "workers/score/domain/standing.h"

namespace cutover::score {

// Everything that a batch computes from.
struct BatchInput {
  IdIndex principals;
  std::vector<Standing> standings;
  std::unique_ptr<Graph> graph;
};

// Reads the source under one snapshot, by streams on two connections.
//   progress  rows of contacts so far, and about how many there are; called on the calling thread; may throw
//   throws    RefusedRow, and what the streams throw
BatchInput read_batch(JobContext& context, const Weights& weights, Micros t,
                      const std::function<void(std::uint64_t, std::uint64_t)>& progress);

}  // namespace cutover::score
