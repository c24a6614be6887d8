#include "workers/score/domain/distribution.h"

#include <algorithm>
#include <cmath>

namespace cutover::score {
namespace {

// A run that is shorter is never too slow: its time is that of connections and of the machine's other work.
constexpr double kSecondsThatMatter = 10;

double percentile(const std::vector<double>& ascending, double share) {
  if (ascending.empty()) return 0;
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(ascending.size())));
  return ascending[std::max<std::size_t>(rank, 1) - 1];
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

std::string percent(double part, double whole) {
  const long hundredths = std::lround(10'000 * part / whole);
  return std::to_string(hundredths / 100) + "." + std::to_string(hundredths / 10 % 10) +
         std::to_string(hundredths % 10) + " %";
}

}  // namespace

Distribution distribution_of(std::vector<double> scores) {
  Distribution result;
  if (scores.empty()) return result;
  std::sort(scores.begin(), scores.end());
  result.count = scores.size();
  result.mean = mean_of(scores);
  result.p10 = percentile(scores, 0.1);
  result.median = percentile(scores, 0.5);
  result.p90 = percentile(scores, 0.9);
  result.least = scores.front();
  result.most = scores.back();
  for (const double score : scores)
    ++result.histogram[std::min(Distribution::kBins - 1,
                                static_cast<std::size_t>(score / 100 * Distribution::kBins))];
  return result;
}

Comparison compare(std::span<const Scored> before, std::span<const Scored> after) {
  Comparison result;
  std::vector<double> all_before, all_after, both_before, both_after;
  std::size_t a = 0, b = 0;
  std::array<double, 4> sums{};
  while (a < before.size() || b < after.size()) {
    const bool takes_before =
        b == after.size() || (a < before.size() && before[a].principal <= after[b].principal);
    const bool takes_after =
        a == before.size() || (b < after.size() && after[b].principal <= before[a].principal);
    if (takes_before && takes_after) {
      both_before.push_back(before[a].score);
      both_after.push_back(after[b].score);
      const double moved = std::abs(after[b].score - before[a].score);
      for (std::size_t i = 0; i < kMovedPoints.size(); ++i) result.moved[i] += moved > kMovedPoints[i];
      for (std::size_t i = 0; i < 4; ++i) {
        const double shift = after[b].components[i] - before[a].components[i];
        sums[i] += shift;
        if (std::abs(shift) > std::abs(result.component_shift_most[i]))
          result.component_shift_most[i] = shift;
      }
    } else {
      ++(takes_before ? result.gone : result.appeared);
    }
    if (takes_before) all_before.push_back(before[a++].score);
    if (takes_after) all_after.push_back(after[b++].score);
  }
  result.both = both_before.size();
  if (result.both > 0) {
    for (std::size_t i = 0; i < 4; ++i)
      result.component_shift[i] = sums[i] / static_cast<double>(result.both);
    const Distribution old_ones = distribution_of(std::move(both_before)),
                       new_ones = distribution_of(std::move(both_after));
    result.mean_shift = new_ones.mean - old_ones.mean;
    result.p10_shift = new_ones.p10 - old_ones.p10;
    result.median_shift = new_ones.median - old_ones.median;
    result.p90_shift = new_ones.p90 - old_ones.p90;
  }
  result.before = distribution_of(std::move(all_before));
  result.after = distribution_of(std::move(all_after));
  return result;
}

std::optional<std::string> reason_to_revert(const FormulaLook& look) {
  const Comparison& c = look.comparison;
  const double both = static_cast<double>(c.both);
  if (c.both > 0 && static_cast<double>(c.moved[1]) > 0.05 * both)
    return percent(static_cast<double>(c.moved[1]), both) +
           " of principals moved over 10 points, allowed are 5 %";
  if (c.both > 0 && static_cast<double>(c.moved[3]) > 0.01 * both)
    return percent(static_cast<double>(c.moved[3]), both) +
           " of principals moved over 20 points, allowed is 1 %";
  if (std::abs(c.mean_shift) > 5)
    return "the mean moved by " + std::to_string(c.mean_shift) + " points, allowed are 5";
  if (static_cast<double>(look.failed_runs) > 0.001 * static_cast<double>(look.runs))
    return std::to_string(look.failed_runs) + " of " + std::to_string(look.runs) +
           " runs failed, allowed is 0.1 %";
  if (look.seconds_before > 0 && look.seconds_after > 2 * look.seconds_before &&
      look.seconds_after > kSecondsThatMatter)
    return "a run took " + std::to_string(look.seconds_after) + " s, over twice the " +
           std::to_string(look.seconds_before) + " s before";
  return std::nullopt;
}

}  // namespace cutover::score
