#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace cutover::score {

// One principal's result as a report looks at it.
struct Scored {
  std::int64_t principal = 0;
  double score = 0;
  std::array<double, 4> components{};  // quality, position, stability, trust
};

// How scores are spread. All 0 without any.
struct Distribution {
  static constexpr std::size_t kBins = 50;  // of two points each; 100 falls into the last
  std::uint64_t count = 0;
  double mean = 0, p10 = 0, median = 0, p90 = 0, least = 0, most = 0;
  std::array<std::uint64_t, kBins> histogram{};
};
// A percentile is the smallest score that at least so many percent do not exceed.
Distribution distribution_of(std::vector<double> scores);

// One run against another.
struct Comparison {
  Distribution before, after;
  std::uint64_t both = 0, appeared = 0, gone = 0;
  double mean_shift = 0, p10_shift = 0, median_shift = 0,
         p90_shift = 0;                          // of the principals that both have: after - before
  std::array<std::uint64_t, 4> moved{};          // by more than 5, 10, 15, 20 points
  std::array<double, 4> component_shift{};       // mean of after - before
  std::array<double, 4> component_shift_most{};  // the largest, either way
};
inline constexpr std::array<double, 4> kMovedPoints{5, 10, 15, 20};
inline constexpr std::array<const char*, 4> kComponents{"quality", "position", "stability", "trust"};
// Both ascend by principal.
Comparison compare(std::span<const Scored> before, std::span<const Scored> after);

// What the watch after the activation of a formula looks at.
struct FormulaLook {
  Comparison comparison;   // the last run of the version before against the newest of this one
  std::uint64_t runs = 0;  // of this version
  std::uint64_t failed_runs = 0;
  double seconds_before = 0, seconds_after = 0;
};
// Why a formula must go back to the version before; nothing while it may stay.
std::optional<std::string> reason_to_revert(const FormulaLook& look);

}  // namespace cutover::score
