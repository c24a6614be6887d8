#include "runtime/parity/statistics.h"

#include <cmath>
#include <limits>

namespace cutover::parity {

Bias bias_of(const Statistics& s) {
  // Two-sided 95 % quantile of Student's distribution: exact where few pairs make it wide, close to it
  // elsewhere.
  static constexpr std::array<double, 30> kQuantiles = {
      12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
      2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
      2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};
  Bias bias;
  if (s.pairs < 2) {
    bias.low = -std::numeric_limits<double>::max();
    bias.high = std::numeric_limits<double>::max();
    return bias;
  }
  const std::uint64_t freedom = s.pairs - 1;
  const double quantile =
      freedom <= kQuantiles.size() ? kQuantiles[freedom - 1] : 1.96 + 2.4 / static_cast<double>(freedom);
  const double half = quantile * s.deviation / std::sqrt(static_cast<double>(s.pairs));
  bias.low = s.mean_difference - half;
  bias.high = s.mean_difference + half;
  bias.fails = (bias.low > 0 || bias.high < 0) && std::fabs(s.mean_difference) > kBiasMax;
  return bias;
}

}  // namespace cutover::parity
