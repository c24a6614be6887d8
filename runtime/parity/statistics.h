#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace cutover::parity {

// Of one side's measured field.
struct Spread {
  std::uint64_t count = 0;  // of finite numbers
  double mean = 0;
  double p10 = 0;
  double p50 = 0;
  double p90 = 0;
};

// Of the measured field of both sides; differences are worker minus serving, over the rows that both have.
struct Statistics {
  std::string field;
  Spread serving;
  Spread worker;
  std::uint64_t pairs = 0;
  double mean_difference = 0;
  double deviation = 0;                   // standard deviation of the differences, of a sample
  std::array<std::uint64_t, 3> beyond{};  // rows that are more than 5, 10 and 20 apart
};
inline constexpr std::array<double, 3> kBeyond = {5, 10, 20};

// Whether one side is higher than the other throughout.
struct Bias {
  double low = 0;  // 95 % interval of the mean difference
  double high = 0;
  bool fails = false;
};
inline constexpr double kBiasMax = 0.001;
// Fails when the interval excludes 0 and the mean is beyond kBiasMax. Below two pairs there is no interval:
// it spans all.
Bias bias_of(const Statistics& statistics);

// How both sides are spread over equal bins.
struct Histogram {
  std::string label;
  double from = 0;
  double to = 0;
  std::vector<std::uint64_t> serving;  // one for each bin; what lies outside counts in the first or the last
  std::vector<std::uint64_t> worker;
};

// How often a value of serving (first) met a value of the worker (second); "" where a side has no row.
struct Matrix {
  std::string field;
  std::map<std::pair<std::string, std::string>, std::uint64_t> counts;
};

}  // namespace cutover::parity
