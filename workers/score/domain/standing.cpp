#include "workers/score/domain/standing.h"

#include <algorithm>

namespace cutover::score {
namespace {

struct PenaltyRule {
  double points, fade_days;
};

PenaltyRule rule_of(const Weights& weights, Band band) noexcept {
  switch (band) {
    case Band::soft:
      return {weights.penalty_soft, weights.fade_soft};
    case Band::moderate:
      return {weights.penalty_moderate, weights.fade_moderate};
    case Band::hard:
      break;
  }
  return {weights.penalty_hard, weights.fade_hard};
}

}  // namespace

void Standing::add_verified_channel(ChannelKind kind, Micros verified_at) noexcept {
  verified_ = true;
  earliest_ = std::min(earliest_, verified_at);
  if (kind == ChannelKind::phone) kinds_ |= 1;
  if (kind == ChannelKind::email) kinds_ |= 2;
}

void Standing::add_incident(const Weights& weights, Micros t, IncidentKind kind, Band band,
                            Micros occurred_at, Micros cleared_at) noexcept {
  const bool open = cleared_at == kNever;
  switch (kind) {
    case IncidentKind::abuse_flag:
      flags_ += open;
      break;
    case IncidentKind::dispute:
      grave_ |= open;
      break;
    case IncidentKind::forced_recovery:
    case IncidentKind::reverification_failure:
      grave_ |= within_days(t, occurred_at, weights.incident_days);
      break;
    case IncidentKind::other:
      break;
  }
  const PenaltyRule rule = rule_of(weights, band);
  penalty_ +=
      open ? rule.points : rule.points * std::max(0.0, 1.0 - days(age(t, cleared_at)) / rule.fade_days);
}

double Standing::flag_free(const Weights& weights) const noexcept {
  return 1.0 - std::min(1.0, static_cast<double>(flags_) / weights.flags_full);
}

double Standing::channel_age(const Weights& weights, Micros t) const noexcept {
  return earliest_ == kNever ? 0.0 : std::min(1.0, days(age(t, earliest_)) / weights.channel_days);
}

}  // namespace cutover::score
