#include "workers/score/domain/result.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace cutover::score {
namespace {

// The factors of the formula as a reader may be told them: what each earned, and what it cost to be without.
// A factor that matters by less than half a point is no reason.
class Reasons {
 public:
  void add(Reason reason, double points, double value) { note(reason, points * value, points * (1 - value)); }
  void note(Reason reason, double earned, double cost) {
    keep(up_, earned, reason);
    keep(down_, cost, reason);
  }
  void write(Result& result) const {
    result.up = {up_[0].second, up_[1].second};
    result.down = {down_[0].second, down_[1].second};
  }

 private:
  using Best = std::array<std::pair<double, Reason>, 2>;
  static void keep(Best& best, double points, Reason reason) {
    if (points < 0.5) return;
    if (points > best[0].first) {
      best[1] = best[0];
      best[0] = {points, reason};
    } else if (points > best[1].first) {
      best[1] = {points, reason};
    }
  }
  Best up_{}, down_{};
};

}  // namespace

Result score_of(const Weights& w, Micros t, const Parts& parts, const Standing& standing) {
  const Ties& ties = parts.ties;
  const double n = parts.edges;
  Result result;
  result.edges = parts.edges;

  const double circles = parts.edges == 0 ? 0.0 : parts.in_circles / n;
  const double quality_base =
      std::min(1.0, (w.quality_mutual * ties.mutual_share + w.quality_confidence * ties.mean_confidence +
                     w.quality_verified * ties.verified_share) *
                        (1.0 + w.circle_bonus * circles));
  const double enough = parts.edges == 0 ? 0.0 : n / (n + w.few_ties);
  result.quality = quality_base * enough;

  const double strength =
      std::min(1.0, std::log(1.0 + ties.strength + w.neighbour_strength * parts.neighbourhood.strength) /
                        std::log(w.strength_scale));
  const double mutual_enough = std::min(1.0, ties.mutual_share / w.mutual_floor);
  result.position =
      (w.position_strength * strength + w.position_bridge * parts.neighbourhood.open_share) * mutual_enough;

  const double lost = parts.lost == 0 ? 0.0 : parts.lost / (static_cast<double>(parts.lost) + n);
  const double channel_age = standing.channel_age(w, t);
  result.stability = w.stability_ties * ties.persistence * (1.0 - lost) + w.stability_channel * channel_age;

  const double flag_free = standing.flag_free(w);
  result.trust = w.trust_incidents * standing.incident_free() + w.trust_channels * standing.channel_share() +
                 w.trust_flags * flag_free;

  result.penalty = standing.penalty(w);
  const double sum = w.quality * result.quality + w.position * result.position +
                     w.stability * result.stability + w.trust * result.trust;
  result.score = std::clamp(100.0 * sum - result.penalty, 0.0, 100.0);

  const double quality = 100 * w.quality, position = 100 * w.position, stability = 100 * w.stability,
               trust = 100 * w.trust;
  Reasons reasons;
  reasons.add(Reason::mutual_ties, quality * w.quality_mutual, ties.mutual_share);
  reasons.add(Reason::confident_ties, quality * w.quality_confidence, ties.mean_confidence);
  reasons.add(Reason::verified_contacts, quality * w.quality_verified, ties.verified_share);
  reasons.add(Reason::circles, quality * w.circle_bonus, circles);
  reasons.note(Reason::many_ties, 0, quality * quality_base * (1 - enough));
  reasons.add(Reason::strong_ties, position * w.position_strength, strength);
  reasons.add(Reason::bridging, position * w.position_bridge, parts.neighbourhood.open_share);
  reasons.add(Reason::lasting_ties, stability * w.stability_ties, ties.persistence);
  reasons.note(Reason::few_losses, 0, stability * w.stability_ties * ties.persistence * lost);
  reasons.add(Reason::long_verified_channel, stability * w.stability_channel, channel_age);
  reasons.add(Reason::no_incidents, trust * w.trust_incidents, standing.incident_free());
  reasons.add(Reason::verified_channels, trust * w.trust_channels, standing.channel_share());
  reasons.add(Reason::no_abuse_flags, trust * w.trust_flags, flag_free);
  reasons.note(Reason::no_penalty, 0, result.penalty);
  reasons.write(result);
  return result;
}

}  // namespace cutover::score
