#include "workers/score/domain/weights.h"

#include <array>
#include <cmath>

namespace cutover::score {
namespace {

struct Entry {
  std::string_view name;
  double Weights::*value;
  double least, most;
};

constexpr double kShare = 1, kDays = 10'000, kPoints = 100;

// The ranges of stale_days and settled_days are those that packed ages can hold (graph.cpp).
constexpr std::array<Entry, 40> kEntries{{{"quality", &Weights::quality, 0, kShare},
                                          {"position", &Weights::position, 0, kShare},
                                          {"stability", &Weights::stability, 0, kShare},
                                          {"trust", &Weights::trust, 0, kShare},
                                          {"fresh_days", &Weights::fresh_days, 0, 399},
                                          {"stale_days", &Weights::stale_days, 1, 400},
                                          {"probable", &Weights::probable, 0, 1},
                                          {"damped", &Weights::damped, 1e-6, 1},
                                          {"recent_days", &Weights::recent_days, 0, 100},
                                          {"recent_free", &Weights::recent_free, 0, 1e9},
                                          {"quality_mutual", &Weights::quality_mutual, 0, 1},
                                          {"quality_confidence", &Weights::quality_confidence, 0, 1},
                                          {"quality_verified", &Weights::quality_verified, 0, 1},
                                          {"circle_bonus", &Weights::circle_bonus, 0, 1},
                                          {"few_ties", &Weights::few_ties, 0, 1e6},
                                          {"top_ties", &Weights::top_ties, 1, 1000},
                                          {"position_strength", &Weights::position_strength, 0, 1},
                                          {"position_bridge", &Weights::position_bridge, 0, 1},
                                          {"mutual_floor", &Weights::mutual_floor, 1e-6, 1},
                                          {"strength_scale", &Weights::strength_scale, 1.001, 1e9},
                                          {"neighbour_strength", &Weights::neighbour_strength, 0, 1},
                                          {"top_neighbours", &Weights::top_neighbours, 2, 1000},
                                          {"stability_ties", &Weights::stability_ties, 0, 1},
                                          {"stability_channel", &Weights::stability_channel, 0, 1},
                                          {"one_way", &Weights::one_way, 0, 1},
                                          {"settled_days", &Weights::settled_days, 1, 100},
                                          {"lost_days", &Weights::lost_days, 0, kDays},
                                          {"channel_days", &Weights::channel_days, 1, kDays},
                                          {"trust_incidents", &Weights::trust_incidents, 0, 1},
                                          {"trust_channels", &Weights::trust_channels, 0, 1},
                                          {"trust_flags", &Weights::trust_flags, 0, 1},
                                          {"incident_days", &Weights::incident_days, 0, kDays},
                                          {"flags_full", &Weights::flags_full, 1, 1e6},
                                          {"penalty_soft", &Weights::penalty_soft, 0, kPoints},
                                          {"penalty_moderate", &Weights::penalty_moderate, 0, kPoints},
                                          {"penalty_hard", &Weights::penalty_hard, 0, kPoints},
                                          {"fade_soft", &Weights::fade_soft, 1, kDays},
                                          {"fade_moderate", &Weights::fade_moderate, 1, kDays},
                                          {"fade_hard", &Weights::fade_hard, 1, kDays},
                                          {"penalty_max", &Weights::penalty_max, 0, kPoints}}};

}  // namespace

std::vector<std::pair<std::string_view, double>> named(const Weights& weights) {
  std::vector<std::pair<std::string_view, double>> all;
  for (const Entry& entry : kEntries) all.emplace_back(entry.name, weights.*entry.value);
  return all;
}

std::optional<std::string> set_weight(Weights& weights, std::string_view name, double value) {
  for (const Entry& entry : kEntries) {
    if (entry.name != name) continue;
    if (!(value >= entry.least && value <= entry.most))
      return "weight " + std::string(name) + " is " + std::to_string(value) + ", allowed is " +
             std::to_string(entry.least) + " to " + std::to_string(entry.most);
    weights.*entry.value = value;
    return std::nullopt;
  }
  return "there is no weight " + std::string(name);
}

std::optional<std::string> complaint_about(const Weights& w) {
  const double shares = w.quality + w.position + w.stability + w.trust;
  if (std::abs(shares - 1) > 1e-9)
    return "quality, position, stability and trust sum up to " + std::to_string(shares) + ", not to 1";
  if (w.fresh_days >= w.stale_days) return "fresh_days must be below stale_days";
  if (w.recent_days > w.settled_days) return "recent_days must not be above settled_days";
  for (const double count : {w.recent_free, w.top_ties, w.top_neighbours})
    if (count != std::floor(count)) return "recent_free, top_ties and top_neighbours are whole numbers";
  return std::nullopt;
}

}  // namespace cutover::score
