#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "workers/score/domain/graph.h"
#include "workers/score/domain/standing.h"

namespace cutover::score {

// What a principal's own edges say, together with those that answer them. Without edges all is 0.
struct Ties {
  double mean_confidence = 0;  // M: mean confidence, weighted by w
  double mutual_share = 0;     // R: share of w0 in edges that are answered
  double verified_share = 0;   // V: of the strongest edges, those whose target has a verified channel
  double persistence = 0;      // p: mean over the same edges of q * age
  double strength = 0;         // s: sum of the reciprocal weights
};

// Measures one row: its reciprocal weights, in order of the targets, and what follows from them. Reads other
// sealed rows and the ages of this one. One for each thread.
class TieMeasure {
 public:
  // `standings` of all principals; outlives this
  explicit TieMeasure(std::span<const Standing> standings) : standings_(standings) {}
  //   mean_confidence  what sealing the row returned
  Ties measure(const Graph& graph, std::uint32_t owner, double mean_confidence);
  // Of the row measured last: r of each edge, 0 where nothing answers.
  std::span<const double> reciprocal() const noexcept { return reciprocal_; }

 private:
  std::span<const Standing> standings_;
  std::vector<double> reciprocal_;
  std::vector<std::uint32_t> order_;
};

}  // namespace cutover::score
