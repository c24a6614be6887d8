#include "runtime/observe/recent_quantile.h"

#include <utility>

namespace cutover {

std::optional<double> RecentQuantile::update(Time now, std::span<const double> bounds,
                                             std::vector<std::uint64_t> counts) {
  while (looks_.size() > 1 && looks_[1].at <= now - window_) looks_.pop_front();
  looks_.push_back({now, std::move(counts)});
  const auto &before = looks_.front().counts, &after = looks_.back().counts;
  std::uint64_t values = 0;
  for (std::size_t i = 0; i < after.size(); ++i) values += after[i] - before[i];
  if (values == 0) return std::nullopt;
  const double wanted = quantile_ * static_cast<double>(values);
  double below = 0;
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    const auto here = static_cast<double>(after[i] - before[i]);
    if (below + here >= wanted && here > 0) {
      const double from = i == 0 ? 0 : bounds[i - 1];
      return from + (bounds[i] - from) * (wanted - below) / here;
    }
    below += here;
  }
  return bounds.empty() ? std::nullopt : std::optional(bounds.back());
}

}  // namespace cutover
