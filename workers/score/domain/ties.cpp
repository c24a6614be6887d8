#include "workers/score/domain/ties.h"

#include <algorithm>

namespace cutover::score {

Ties TieMeasure::measure(const Graph& graph, std::uint32_t owner, double mean_confidence) {
  const Weights& weights = graph.weights();
  const Graph::SealedRow row = graph.row(owner);
  const std::size_t n = row.targets.size();
  Ties ties;
  reciprocal_.assign(n, 0.0);
  if (n == 0) return ties;
  ties.mean_confidence = mean_confidence;
  double answered = 0, all = 0;
  for (std::size_t i = 0; i < n; ++i) {
    reciprocal_[i] = std::min(row.weight(i), graph.weight_to(row.targets[i], owner));
    const double base = row.base_weight(i);
    all += base;
    if (reciprocal_[i] > 0) {
      answered += base;
      ties.strength += reciprocal_[i];
    }
  }
  ties.mutual_share = answered / all;

  // The strongest edges, ties by the smaller target; their sums run in order of the target again.
  order_.resize(n);
  for (std::size_t i = 0; i < n; ++i) order_[i] = static_cast<std::uint32_t>(i);
  const std::size_t top = std::min(n, static_cast<std::size_t>(weights.top_ties));
  if (top < n)
    std::nth_element(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(top), order_.end(),
                     [&](std::uint32_t a, std::uint32_t b) {
                       const double wa = row.weight(a), wb = row.weight(b);
                       return wa != wb ? wa > wb : a < b;
                     });
  std::sort(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(top));
  std::size_t verified = 0;
  double persistence = 0;
  for (std::size_t k = 0; k < top; ++k) {
    const std::uint32_t i = order_[k];
    verified += standings_[row.targets[i]].verified();
    const double q = reciprocal_[i] > 0 ? 1.0 : weights.one_way;
    persistence += q * std::min(1.0, days(graph.first_seen_age(owner, i)) / weights.settled_days);
  }
  ties.verified_share = static_cast<double>(verified) / static_cast<double>(top);
  ties.persistence = persistence / static_cast<double>(top);
  return ties;
}

}  // namespace cutover::score
