#pragma once

#include "workers/score/domain/age.h"
#include "workers/score/domain/weights.h"

namespace cutover::score {

// Freshness factor of an edge.
//   evidence_age  since the last evidence; below 0 counts as 0
//   returns       1 up to fresh_days, then linear to 0 at stale_days
inline double freshness(const Weights& weights, Micros evidence_age) noexcept {
  const double a = days(evidence_age);
  if (a <= weights.fresh_days) return 1.0;
  if (a >= weights.stale_days) return 0.0;
  return (weights.stale_days - a) / (weights.stale_days - weights.fresh_days);
}

// Weight of an edge before bulk additions are damped (w0).
inline double base_weight(const Weights& weights, double confidence, Micros evidence_age,
                          bool probable) noexcept {
  return confidence * freshness(weights, evidence_age) * (probable ? weights.probable : 1.0);
}

}  // namespace cutover::score
