#pragma once

#include <array>
#include <cstdint>

#include "workers/score/domain/neighbourhood.h"
#include "workers/score/domain/standing.h"
#include "workers/score/domain/ties.h"
#include "workers/score/domain/weights.h"

namespace cutover::score {

// Codes of serving.score_reasons; 0: none.
enum class Reason : std::uint8_t {
  none,
  mutual_ties,
  confident_ties,
  verified_contacts,
  circles,
  many_ties,
  strong_ties,
  bridging,
  lasting_ties,
  few_losses,
  long_verified_channel,
  no_incidents,
  verified_channels,
  no_abuse_flags,
  no_penalty,
};

// One principal's score and why it is so.
struct Result {
  double score = 0;                                            // 0..100
  double quality = 0, position = 0, stability = 0, trust = 0;  // 0..1
  double penalty = 0;                                          // points
  std::uint32_t edges = 0;
  std::array<Reason, 2> up{};    // what gave most points
  std::array<Reason, 2> down{};  // what cost most points

  bool operator==(const Result&) const = default;
};

// Everything that one score is made of.
struct Parts {
  Ties ties;
  Neighbourhood neighbourhood;
  std::uint32_t edges = 0;       // n
  std::uint32_t in_circles = 0;  // of these
  std::uint32_t lost = 0;        // edges that ended within lost_days
};

// Score formula: Quality, Position, Stability, Trust, penalty, clamped to 0..100.
Result score_of(const Weights& weights, Micros t, const Parts& parts, const Standing& standing);

}  // namespace cutover::score
