#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cutover::score {

// Every number of the score formula; the defaults are v1.0. A version of the formula is a set of these.
struct Weights {
  // Score: shares of the components.
  double quality = 0.40;
  double position = 0.30;
  double stability = 0.20;
  double trust = 0.10;

  // Weight of an edge.
  double fresh_days = 90;   // full weight up to this age of the last evidence
  double stale_days = 365;  // none from this age on; 1..400
  double probable = 0.5;    // factor of state active_probable
  double damped = 0.1;      // factor of what is added in bulk
  double recent_days = 7;   // bulk is counted over these days; at most settled_days
  double recent_free = 50;  // so many recent edges are not damped

  // Quality.
  double quality_mutual = 0.5;
  double quality_confidence = 0.2;
  double quality_verified = 0.3;
  double circle_bonus = 0.05;
  double few_ties = 5;   // n / (n + few_ties)
  double top_ties = 50;  // edges that verified share and persistence look at; 1..1000

  // Position.
  double position_strength = 0.5;
  double position_bridge = 0.5;
  double mutual_floor = 0.25;        // full position from this reciprocal share on
  double strength_scale = 501;       // ln(1 + strength) / ln(scale)
  double neighbour_strength = 0.25;  // weight of the neighbours' own strength
  double top_neighbours = 64;        // neighbours whose pairs are looked at; 2..1000

  // Stability.
  double stability_ties = 0.6;
  double stability_channel = 0.4;
  double one_way = 0.25;
  double settled_days = 90;  // a tie counts fully from this age on; 1..100
  double lost_days = 90;
  double channel_days = 90;

  // Trust.
  double trust_incidents = 0.5;
  double trust_channels = 0.3;
  double trust_flags = 0.2;
  double incident_days = 90;
  double flags_full = 3;

  // Penalty, in points, and the days over which a cleared one fades.
  double penalty_soft = 8;
  double penalty_moderate = 15;
  double penalty_hard = 30;
  double fade_soft = 30;
  double fade_moderate = 60;
  double fade_hard = 90;
  double penalty_max = 30;

  bool operator==(const Weights&) const = default;
};

// Names and values of all weights, in the order above.
std::vector<std::pair<std::string_view, double>> named(const Weights& weights);

// Sets one by its name. Returns what is wrong: an unknown name, a value that is not finite or out of its
// range.
std::optional<std::string> set_weight(Weights& weights, std::string_view name, double value);

// What is wrong with the whole set, if anything.
std::optional<std::string> complaint_about(const Weights& weights);

}  // namespace cutover::score
