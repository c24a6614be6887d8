#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "workers/score/domain/graph.h"
#include "workers/score/domain/parallel.h"
#include "workers/score/domain/result.h"
#include "workers/score/domain/standing.h"

namespace cutover::score {

// Which principals a computation is about, by their places, ascending.
struct Scope {
  // Rows with edges in the graph, complete or not.
  std::span<const std::uint32_t> filled;
  // Rows that are complete, and whose neighbours' edges back to them are there: the wanted ones and all their
  // neighbours.
  std::span<const std::uint32_t> complete;
  // Whose scores are wanted.
  std::span<const std::uint32_t> wanted;
};

// Computes scores from a graph to which everything was added; uses the graph up. The same result, bit for
// bit, whatever the scope, the number of threads and the order in which edges were added.
//   standings  of all principals of the graph
//   returns    one result for each wanted principal
//   throws     Stopped
std::vector<Result> compute(Graph& graph, std::span<const Standing> standings, const Scope& scope,
                            std::size_t threads, const Tick& tick = {});

}  // namespace cutover::score
