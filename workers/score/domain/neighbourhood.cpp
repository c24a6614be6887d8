#include "workers/score/domain/neighbourhood.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace cutover::score {
namespace {

// Reading a mark costs about as much as an eighth of a search.
constexpr std::size_t kSearchCost = 8;

}  // namespace

// Each pair is looked for in the shorter row of the two, so that a neighbour with a million ties costs
// nothing.
std::uint64_t NeighbourhoodMeasure::linked_pairs() {
  std::sort(neighbours_.begin(), neighbours_.end(), [&](std::uint32_t a, std::uint32_t b) {
    const std::size_t na = graph_.mutual(a).targets.size(), nb = graph_.mutual(b).targets.size();
    return na != nb ? na < nb : a < b;
  });
  for (const std::uint32_t neighbour : neighbours_) marked_[neighbour] = 1;
  std::uint64_t linked = 0;
  for (std::size_t i = 0; i < neighbours_.size(); ++i) {
    marked_[neighbours_[i]] = 0;
    const std::span<const std::uint32_t> row = graph_.mutual(neighbours_[i]).targets;
    const std::size_t left = neighbours_.size() - i - 1;
    if (row.size() <= left * kSearchCost) {
      for (const std::uint32_t target : row) linked += marked_[target];
    } else {
      for (std::size_t k = i + 1; k < neighbours_.size(); ++k)
        linked += std::binary_search(row.begin(), row.end(), neighbours_[k]);
    }
  }
  return linked;
}

Neighbourhood NeighbourhoodMeasure::measure(std::uint32_t owner) {
  const Weights& weights = graph_.weights();
  const Graph::MutualRow row = graph_.mutual(owner);
  const std::size_t n = row.targets.size();
  Neighbourhood result;
  for (std::size_t i = 0; i < n; ++i) result.strength += row.weight(i) * log_strengths_[row.targets[i]];
  result.strength /= std::log(weights.strength_scale);
  if (n < 2) return result;

  const std::size_t top = std::min(n, static_cast<std::size_t>(weights.top_neighbours));
  order_.resize(n);
  for (std::size_t i = 0; i < n; ++i) order_[i] = static_cast<std::uint32_t>(i);
  if (top < n)
    std::nth_element(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(top), order_.end(),
                     [&](std::uint32_t a, std::uint32_t b) {
                       const double ra = row.weight(a), rb = row.weight(b);
                       return ra != rb ? ra > rb : a < b;
                     });
  neighbours_.clear();
  for (std::size_t k = 0; k < top; ++k) neighbours_.push_back(row.targets[order_[k]]);
  const double pairs = static_cast<double>(top) * static_cast<double>(top - 1) / 2;
  result.open_share = 1.0 - static_cast<double>(linked_pairs()) / pairs;
  return result;
}

}  // namespace cutover::score
