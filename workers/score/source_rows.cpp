#include "workers/score/source_rows.h"

#include <chrono>
#include <cmath>
#include <cstdio>

namespace cutover::score {
namespace {

// A point in time `count` days before t.
Micros before(Micros t, double count) {
  return t - static_cast<Micros>(std::llround(count * static_cast<double>(kDay)));
}

}  // namespace

std::string timestamp_literal(Micros time) {
  constexpr Micros kFar = Micros{1'900} * 365 * kDay;  // years of four digits
  if (time > kFar) return "'infinity'::timestamptz";
  if (time < -kFar) return "'-infinity'::timestamptz";
  const std::chrono::sys_time<std::chrono::microseconds> point{std::chrono::microseconds(time)};
  const auto day = std::chrono::floor<std::chrono::days>(point);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(point - day);
  char text[80];
  std::snprintf(text, sizeof text, "'%04d-%02u-%02u %02d:%02d:%02d.%06d+00'::timestamptz",
                static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
                static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()),
                static_cast<int>(clock.subseconds().count()));
  return text;
}

Cutoffs cutoffs(const Weights& weights, Micros t) {
  return {before(t, weights.stale_days), before(t, weights.recent_days), before(t, weights.lost_days)};
}

std::string edge_condition(const std::string& evidence, const std::string& recent) {
  // A bad confidence is let through to be refused.
  return "c.target_id <> c.owner_id AND c.contested IS NOT TRUE"
         " AND c.state IN ('active_confirmed', 'active_probable', 'stale_decay')"
         " AND (c.last_evidence_at > " +
         evidence + " OR c.first_seen_at > " + recent + " OR (c.confidence BETWEEN 0 AND 1) IS NOT TRUE)";
}

std::string lost_condition(const std::string& lost, const std::string& t) {
  return "c.target_id <> c.owner_id AND c.contested IS NOT TRUE AND c.state = 'tombstoned' AND c.ended_at "
         "> " +
         lost + " AND c.ended_at <= " + t;
}

double checked_confidence(double confidence, std::int64_t contact, std::int64_t owner) {
  if (confidence >= 0 && confidence <= 1) return confidence + 0.0;
  throw RefusedRow("app.contacts: contact_id " + std::to_string(contact) + " of owner_id " +
                   std::to_string(owner) + " has confidence " + std::to_string(confidence) +
                   ", which is not between 0 and 1. Do: correct the row and request the scores again");
}

IncidentKind incident_kind(std::string_view name, std::int64_t incident) {
  if (name == "abuse_flag") return IncidentKind::abuse_flag;
  if (name == "forced_recovery") return IncidentKind::forced_recovery;
  if (name == "reverification_failure") return IncidentKind::reverification_failure;
  if (name == "dispute") return IncidentKind::dispute;
  throw RefusedRow("app.trust_incidents: incident_id " + std::to_string(incident) + " is of an unknown kind");
}

Band band(std::string_view name, std::int64_t incident) {
  if (name == "soft") return Band::soft;
  if (name == "moderate") return Band::moderate;
  if (name == "hard") return Band::hard;
  throw RefusedRow("app.trust_incidents: incident_id " + std::to_string(incident) + " has an unknown band");
}

ChannelKind channel_kind(std::string_view name) {
  if (name == "phone") return ChannelKind::phone;
  return name == "email" ? ChannelKind::email : ChannelKind::other;
}

}  // namespace cutover::score
