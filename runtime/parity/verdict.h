#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "runtime/contract/output.h"
#include "runtime/parity/result.h"

namespace cutover::parity {

// What a verdict asks for.
struct VerdictLimits {
  std::uint64_t samples_min = 1'000;       // rows of all outputs
  std::uint64_t stratum_samples_min = 30;  // rows of each stratum that an output declares
  double transient_max = 0.01;             // share of the compared rows
};

// What makes a comparison worth nothing, whatever it found: one side is dead, the watermark stands still.
struct Circumstances {
  std::vector<std::string> obstacles;
  bool partial =
      false;  // only some rows were asked for, by --since or --rerun: samples are not demanded of strata
};

// Sets verdict and reasons. No data is never ok: an output of which a side has no row is inconclusive, like
// too few samples; a difference is different however few samples there are.
void judge(Summary& summary, const std::vector<Output>& outputs, const Circumstances& circumstances,
           const VerdictLimits& limits);

}  // namespace cutover::parity
