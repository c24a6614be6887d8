#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "workers/score/domain/age.h"
#include "workers/score/domain/standing.h"
#include "workers/score/domain/weights.h"

namespace cutover::score {

// Rows of the source as both ways of loading read them: by streams for a batch, by keys for an incremental.

// A row that no score can be computed from. what() names it.
struct RefusedRow : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Which principals have scores, as a condition on app.principals p.
inline constexpr std::string_view kEligible = R"sql(p.status = 'active' AND EXISTS (
  SELECT FROM app.profiles f WHERE f.owner_principal_id = p.principal_id AND f.profile_class IN ('single', 'employee')))sql";

// From when on a contact's times count.
struct Cutoffs {
  Micros evidence = 0;  // an edge without younger evidence has no weight
  Micros recent = 0;    // what was first seen later is ranked, with or without weight
  Micros lost = 0;      // edges that ended later, up to t
};
Cutoffs cutoffs(const Weights& weights, Micros t);

// A condition on app.contacts c: edges and recent rows without weight, as far as the row itself tells. The
// cutoffs are SQL expressions.
std::string edge_condition(const std::string& evidence, const std::string& recent);
// The same for edges that ended within lost_days.
std::string lost_condition(const std::string& lost, const std::string& t);

// Throws RefusedRow unless it is between 0 and 1; returns it, -0 as 0.
double checked_confidence(double confidence, std::int64_t contact, std::int64_t owner);
// Throw RefusedRow for a word that the source does not know.
IncidentKind incident_kind(std::string_view name, std::int64_t incident);
Band band(std::string_view name, std::int64_t incident);
ChannelKind channel_kind(std::string_view name);

// '2026-01-31 12:00:00.123456+00'::timestamptz; infinite ones at the ends.
std::string timestamp_literal(Micros time);

}  // namespace cutover::score
