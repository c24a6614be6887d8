#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "workers/score/domain/graph.h"

namespace cutover::score {

// What a principal's neighbours say about its place among them.
struct Neighbourhood {
  double strength = 0;    // h: the neighbours' own strength, weighted
  double open_share = 0;  // B: share of pairs of neighbours that are not linked
};

// Looks at one condensed row and at those of its strongest neighbours. One for each thread.
class NeighbourhoodMeasure {
 public:
  //   log_strengths  ln(1 + s) of all principals; outlives this
  NeighbourhoodMeasure(const Graph& graph, std::span<const double> log_strengths)
      : graph_(graph), log_strengths_(log_strengths), marked_(graph.principals(), 0) {}
  Neighbourhood measure(std::uint32_t owner);

 private:
  std::uint64_t linked_pairs();

  const Graph& graph_;
  std::span<const double> log_strengths_;
  std::vector<std::uint8_t> marked_;
  std::vector<std::uint32_t> order_;
  std::vector<std::uint32_t> neighbours_;  // the strongest ones
};

}  // namespace cutover::score
