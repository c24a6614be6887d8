#include "tests/bench/search/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace cutover::bench {

double Figures::percentile(double share) const {
  if (times_.empty()) return 0;
  std::vector<double> sorted = times_;
  std::sort(sorted.begin(), sorted.end());
  const double rank = std::ceil(share * static_cast<double>(sorted.size()));
  return sorted[static_cast<std::size_t>(std::max(1.0, rank)) - 1];
}

nlohmann::json Figures::json() const {
  const auto rounded = [&](double share) { return std::round(percentile(share) * 10) / 10; };
  return {{"n", count()}, {"p50", rounded(0.5)}, {"p95", rounded(0.95)}, {"p99", rounded(0.99)}, {"max", rounded(1)}};
}

std::string Figures::text() const {
  return fmt::format("n {:<5} p50 {:>7.1f}  p95 {:>7.1f}  p99 {:>7.1f}  max {:>7.1f} ms", count(), percentile(0.5),
                     percentile(0.95), percentile(0.99), percentile(1));
}

}  // namespace cutover::bench
