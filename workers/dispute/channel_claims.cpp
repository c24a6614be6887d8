#include "workers/dispute/channel_claims.h"

#include <algorithm>

namespace cutover::dispute {
namespace {

constexpr std::string_view kChannels = R"sql(
SELECT DISTINCT q.channel_id FROM unnest($1::bigint[]) u (case_id)
CROSS JOIN LATERAL (SELECT * FROM dispute_queue d WHERE d.case_id = u.case_id OFFSET 0) q
WHERE q.case_type IN ('C1', 'C2') AND q.channel_id IS NOT NULL ORDER BY 1)sql";

constexpr std::string_view kLock = "SELECT serving.lock_disputes('dispute_queue', '{}', $1::bigint[])";

constexpr std::string_view kClaims = R"sql(
SELECT case_id, channel_id, state, array_to_string(path, ','), expected_version, blocked_by, refused,
  (extract(epoch FROM at) * 1000000)::bigint
FROM dispute_transitions WHERE channel_id = ANY ($1::bigint[]) ORDER BY channel_id, case_id)sql";

constexpr std::string_view kStates =
    "SELECT channel_id, state, version FROM app.channels WHERE channel_id = ANY ($1::bigint[])";

constexpr std::string_view kSave = R"sql(
INSERT INTO dispute_transitions SELECT * FROM jsonb_populate_recordset(NULL::dispute_transitions, $1::jsonb) n
ORDER BY n.state, n.case_id
ON CONFLICT (case_id) DO UPDATE SET state = excluded.state, path = excluded.path, expected_version = excluded.expected_version,
  blocked_by = excluded.blocked_by, refused = excluded.refused, at = excluded.at)sql";

std::vector<Ownership> read_path(std::string_view text) {
  std::vector<Ownership> path;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    if (const auto state = ownership_named(text.substr(0, end))) path.push_back(*state);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return path;
}

std::string conflict(std::int64_t channel_id, std::int64_t other) {
  return JsonWriter().begin().field("channel_id", channel_id).field("blocked_by", other).end().text();
}

}  // namespace

void ChannelClaims::lock(const std::vector<std::int64_t>& case_ids) {
  std::vector<std::int64_t> ids;
  const auto found = book_.tx().query(kChannels, {std::span<const std::int64_t>(case_ids)});
  for (std::size_t i = 0; i < found->size(); ++i) ids.push_back(found->integer(i, 0));
  if (ids.empty()) return;
  const std::span<const std::int64_t> channels(ids);
  book_.tx().execute(kLock, {channels});
  const auto states = book_.tx().query(kStates, {channels});
  for (std::size_t i = 0; i < states->size(); ++i)
    channels_[states->integer(i, 0)] = {ownership_named(states->text(i, 1)), states->integer(i, 2)};
  const auto claims = book_.tx().query(kClaims, {channels});
  for (std::size_t i = 0; i < claims->size(); ++i) {
    Claim& claim = claims_[claims->integer(i, 0)];
    claim.channel_id = claims->integer(i, 1);
    claim.state = claims->text(i, 2);
    claim.path = read_path(claims->text(i, 3));
    if (!claims->is_null(i, 4)) claim.expected_version = claims->integer(i, 4);
    if (!claims->is_null(i, 5)) claim.blocked_by = claims->integer(i, 5);
    claim.refused = claims->text(i, 6);
    claim.at = Instant{std::chrono::microseconds{claims->integer(i, 7)}};
    // What was asked for before and is not done yet.
    Channel& channel = channels_[claim.channel_id];
    if (claim.path.size() < 2) continue;
    const std::int64_t reached = claim.expected_version + static_cast<std::int64_t>(claim.path.size()) - 1;
    if (reached > channel.version) channel = {claim.path.back(), reached};
  }
}

// Asks for one transition; false when it is not allowed.
bool ChannelClaims::step(const CaseRecord& record, Claim& claim, Ownership to) {
  Channel& channel = channels_[claim.channel_id];
  if (channel.state && claim.path.empty()) {
    claim.path.push_back(*channel.state);
    claim.expected_version = channel.version;
  }
  const std::string_view from = channel.state ? name_of(*channel.state) : "unknown";
  if (!channel.state || !transition(*channel.state, to)) {
    claim.refused = std::string(from) + ">" + std::string(name_of(to));
    const std::string detail = JsonWriter()
                                   .begin()
                                   .field("channel_id", claim.channel_id)
                                   .field("refused", claim.refused)
                                   .field("code", kInvalidTransition)
                                   .end()
                                   .text();
    book_.audit(record, "transition_refused", {}, detail);
    announcer_.transition_rejected(record, from, to);
    return false;
  }
  announcer_.transition_requested(record, *channel.state, to, channel.version);
  claim.path.push_back(to);
  channel = {to, channel.version + 1};
  return true;
}

void ChannelClaims::open(CaseRecord& record, Instant at) {
  if (!record.channel_id || (record.type != CaseType::c1 && record.type != CaseType::c2)) return;
  Claim& claim = claims_[record.case_id];
  if (claim.state == "open" || claim.state == "closed") return;
  claim.channel_id = *record.channel_id;
  claim.at = at;
  claim.changed = true;
  const auto other = std::find_if(claims_.begin(), claims_.end(), [&](const auto& entry) {
    return entry.second.channel_id == *record.channel_id && entry.second.state == "open";
  });
  if (other != claims_.end()) {
    claim.state = "waiting";
    claim.blocked_by = record.blocked_by = other->first;
    book_.audit(record, "transition_conflict", {}, conflict(claim.channel_id, other->first));
    return;
  }
  claim.state = "open";
  claim.blocked_by.reset();
  if (step(record, claim, Ownership::challenged))
    book_.audit(record, "transition_opened", {},
                JsonWriter().begin().field("channel_id", claim.channel_id).end().text());
}

void ChannelClaims::close(const CaseRecord& record, Instant at) {
  const auto found = claims_.find(record.case_id);
  if (found == claims_.end() || found->second.state == "closed") return;
  Claim& claim = found->second;
  const bool had_it = claim.state == "open";
  claim.state = "closed";
  claim.at = at;
  claim.changed = true;
  if (!had_it) return;
  const Channel& channel = channels_[claim.channel_id];
  const auto has = [&](Action action) {
    return std::find(record.actions.begin(), record.actions.end(), action) != record.actions.end();
  };
  std::vector<Ownership> steps;
  if (channel.state && (has(Action::award_challenger) || has(Action::transfer))) {
    steps = path(*channel.state, Ownership::transferred);
  } else if (channel.state && has(Action::award_incumbent)) {
    steps = path(*channel.state, Ownership::recovered);
    steps.push_back(Ownership::verified_active);
  } else if (channel.state == Ownership::challenged && claim.path.size() > 1) {
    steps = {Ownership::verified_active};  // nobody is awarded anything: the challenge is over
  }
  bool asked = !steps.empty();
  for (Ownership to : steps) asked = asked && step(record, claim, to);
  if (asked) {
    JsonWriter detail;
    detail.begin().field("channel_id", claim.channel_id);
    detail.list("path", claim.path, [](Ownership state) { return name_of(state); }).end();
    book_.audit(record, "transition_requested", {}, detail.text());
  }
  for (const auto& [case_id, other] : claims_)
    if (other.channel_id == claim.channel_id && other.state == "waiting")
      announcer_.channel_free(case_id, record.lane, at);
}

void ChannelClaims::save() {
  JsonWriter rows;
  for (const auto& [case_id, claim] : claims_) {
    if (!claim.changed) continue;
    rows.begin().field("case_id", case_id).field("channel_id", claim.channel_id).field("state", claim.state);
    rows.list("path", claim.path, [](Ownership state) { return name_of(state); });
    rows.field("expected_version", claim.path.empty() ? std::nullopt : std::optional(claim.expected_version));
    rows.field("blocked_by", claim.blocked_by);
    rows.field("refused",
               claim.refused.empty() ? std::nullopt : std::optional<std::string_view>(claim.refused));
    rows.field("at", claim.at).end();
  }
  if (rows.empty()) return;
  const std::string json = "[" + rows.text() + "]";
  book_.tx().execute(kSave, {std::string_view(json)});
}

}  // namespace cutover::dispute
