#include "workers/dispute/case_book.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace cutover::dispute {
namespace {

constexpr std::string_view kLoad = R"sql(
SELECT case_id, case_type, severity, principal_id, counterparty_id, channel_id, (extract(epoch FROM opened_at) * 1000000)::bigint,
  verified_business, appeal_of, state, version, decided_version, evaluations, routed_lane, base_lane, lane,
  array_to_string(reasons, ','), (extract(epoch FROM first_response_due) * 1000000)::bigint,
  (extract(epoch FROM first_response_at) * 1000000)::bigint, (extract(epoch FROM hold_until) * 1000000)::bigint, hold_rule,
  hold_extended, (extract(epoch FROM decide_at) * 1000000)::bigint, rule, outcome, array_to_string(actions, ','), blocked_by, warned,
  notifications, (extract(epoch FROM resolved_at) * 1000000)::bigint, resolved_by, stream, seq
FROM dispute_queue WHERE case_id = ANY ($1::bigint[]) ORDER BY case_id FOR UPDATE)sql";

constexpr std::string_view kLoadInputs = R"sql(
SELECT e.case_id, e.version, e.kind, e.material, (extract(epoch FROM e.at) * 1000000)::bigint, e.evidence::text, e.stream, e.seq
FROM unnest($1::bigint[]) u (case_id)
CROSS JOIN LATERAL (SELECT * FROM dispute_evidence d WHERE d.case_id = u.case_id OFFSET 0) e
ORDER BY e.case_id, e.version)sql";

constexpr std::string_view kLoadRestrictions = R"sql(
SELECT case_id, kind, principal_id, channel_id, (extract(epoch FROM applied_at) * 1000000)::bigint,
  (extract(epoch FROM lifted_at) * 1000000)::bigint
FROM dispute_restrictions WHERE case_id = ANY ($1::bigint[]))sql";

constexpr std::string_view kSaveCases = R"sql(
INSERT INTO dispute_queue AS q
SELECT * FROM jsonb_populate_recordset(NULL::dispute_queue, $1::jsonb) n ORDER BY n.case_id
ON CONFLICT (case_id) DO UPDATE SET
  state = excluded.state, version = excluded.version, decided_version = excluded.decided_version,
  evaluations = excluded.evaluations, base_lane = excluded.base_lane, lane = excluded.lane, reasons = excluded.reasons,
  first_response_due = excluded.first_response_due, first_response_at = excluded.first_response_at,
  hold_until = excluded.hold_until, hold_rule = excluded.hold_rule, hold_extended = excluded.hold_extended,
  decide_at = excluded.decide_at, rule = excluded.rule, outcome = excluded.outcome, actions = excluded.actions,
  blocked_by = excluded.blocked_by, warned = excluded.warned, notifications = excluded.notifications,
  resolved_at = excluded.resolved_at, resolved_by = excluded.resolved_by, stream = excluded.stream, seq = excluded.seq)sql";

constexpr std::string_view kSaveEvidence = R"sql(
INSERT INTO dispute_evidence SELECT * FROM jsonb_populate_recordset(NULL::dispute_evidence, $1::jsonb) n
ORDER BY n.case_id, n.version ON CONFLICT (case_id, version) DO NOTHING)sql";

constexpr std::string_view kSaveDecisions = R"sql(
INSERT INTO dispute_decisions SELECT * FROM jsonb_populate_recordset(NULL::dispute_decisions, $1::jsonb) n
ORDER BY n.case_id, n.evaluation ON CONFLICT (case_id, evaluation) DO NOTHING)sql";

constexpr std::string_view kSaveRestrictions = R"sql(
INSERT INTO dispute_restrictions SELECT * FROM jsonb_populate_recordset(NULL::dispute_restrictions, $1::jsonb) n
ORDER BY n.case_id, n.kind
ON CONFLICT (case_id, kind) DO UPDATE SET applied_at = excluded.applied_at, lifted_at = excluded.lifted_at)sql";

constexpr std::string_view kSaveAudit = R"sql(
INSERT INTO dispute_audit (case_id, at, what, rule, actor_id, actor_type, reason, detail, stream, seq)
SELECT n.case_id, n.at, n.what, n.rule, n.actor_id, n.actor_type, n.reason, n.detail, n.stream, n.seq
FROM jsonb_to_recordset($1::jsonb) n (case_id bigint, at timestamptz, what text, rule text, actor_id text, actor_type text,
  reason text, detail jsonb, stream text, seq bigint))sql";

Instant instant(const Rows& rows, std::size_t row, std::size_t column) {
  return Instant{std::chrono::microseconds{rows.integer(row, column)}};
}

std::optional<Instant> maybe_instant(const Rows& rows, std::size_t row, std::size_t column) {
  if (rows.is_null(row, column)) return std::nullopt;
  return instant(rows, row, column);
}

std::optional<std::int64_t> maybe_integer(const Rows& rows, std::size_t row, std::size_t column) {
  if (rows.is_null(row, column)) return std::nullopt;
  return rows.integer(row, column);
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

// The last digit of C3, L2.
template <class Value>
Value numbered(std::string_view name) {
  return static_cast<Value>(name.back() - '1');
}

State state_named(std::string_view name) {
  for (State state : {State::routed, State::queued, State::waiting, State::held})
    if (name == name_of(state)) return state;
  return State::resolved;
}

CaseRecord read_record(const Rows& rows, std::size_t row) {
  const auto lane = [&](std::size_t column) { return static_cast<Lane>(rows.integer(row, column)); };
  CaseRecord record;
  record.case_id = rows.integer(row, 0);
  record.type = numbered<CaseType>(rows.text(row, 1));
  record.severity = numbered<Severity>(rows.text(row, 2));
  record.principal_id = rows.integer(row, 3);
  record.counterparty_id = maybe_integer(rows, row, 4);
  record.channel_id = maybe_integer(rows, row, 5);
  record.opened_at = instant(rows, row, 6);
  record.verified_business = rows.boolean(row, 7);
  record.appeal_of = maybe_integer(rows, row, 8);
  record.state = state_named(rows.text(row, 9));
  record.version = rows.integer(row, 10);
  record.decided_version = rows.integer(row, 11);
  record.evaluations = static_cast<int>(rows.integer(row, 12));
  record.routed_lane = lane(13);
  record.base_lane = lane(14);
  record.lane = lane(15);
  record.reasons = Reasons::named(split(rows.text(row, 16)));
  record.first_response_due = instant(rows, row, 17);
  record.first_response_at = maybe_instant(rows, row, 18);
  record.hold_until = maybe_instant(rows, row, 19);
  record.hold_rule = rows.text(row, 20);
  record.hold_extended = rows.boolean(row, 21);
  record.decide_at = maybe_instant(rows, row, 22);
  record.rule = rows.text(row, 23);
  record.outcome = outcome_named(rows.text(row, 24));
  for (const std::string_view name : split(rows.text(row, 25)))
    if (const auto action = action_named(name)) record.actions.push_back(*action);
  record.blocked_by = maybe_integer(rows, row, 26);
  record.warned = rows.boolean(row, 27);
  record.notifications = static_cast<int>(rows.integer(row, 28));
  record.resolved_at = maybe_instant(rows, row, 29);
  record.resolved_by = rows.text(row, 30);
  record.stream = rows.text(row, 31);
  record.sequence = rows.is_null(row, 32) ? 0 : rows.integer(row, 32);
  return record;
}

std::optional<std::string_view> maybe(std::string_view text) {
  if (text.empty()) return std::nullopt;
  return text;
}

std::string_view action_name(Action action) {
  return name_of(action);
}

void write_source(JsonWriter& out, std::string_view stream, std::int64_t sequence) {
  out.field("stream", maybe(stream));
  out.field("seq", stream.empty() ? std::nullopt : std::optional(sequence));
}

void write_record(JsonWriter& out, const CaseRecord& record) {
  out.begin();
  out.field("case_id", record.case_id)
      .field("case_type", name_of(record.type))
      .field("severity", name_of(record.severity));
  out.field("principal_id", record.principal_id).field("counterparty_id", record.counterparty_id);
  out.field("channel_id", record.channel_id).field("opened_at", record.opened_at);
  out.field("verified_business", record.verified_business).field("appeal_of", record.appeal_of);
  out.field("state", name_of(record.state))
      .field("version", record.version)
      .field("decided_version", record.decided_version);
  out.field("evaluations", record.evaluations).field("routed_lane", static_cast<int>(record.routed_lane));
  out.field("base_lane", static_cast<int>(record.base_lane)).field("lane", static_cast<int>(record.lane));
  out.list("reasons", record.reasons.names(), [](std::string_view name) { return name; });
  out.field("first_response_due", record.first_response_due)
      .field("first_response_at", record.first_response_at);
  out.field("hold_until", record.hold_until).field("hold_rule", maybe(record.hold_rule));
  out.field("hold_extended", record.hold_extended)
      .field("decide_at", record.decide_at)
      .field("rule", maybe(record.rule));
  out.field("outcome", record.outcome ? std::optional(name_of(*record.outcome)) : std::nullopt);
  out.list("actions", record.actions, action_name);
  out.field("blocked_by", record.blocked_by)
      .field("warned", record.warned)
      .field("notifications", record.notifications);
  out.field("resolved_at", record.resolved_at).field("resolved_by", maybe(record.resolved_by));
  write_source(out, record.stream, record.sequence);
  out.end();
}

void send(Transaction& tx, std::string_view sql, const JsonWriter& rows) {
  if (rows.empty()) return;
  const std::string json = "[" + rows.text() + "]";
  tx.execute(sql, {std::string_view(json)});
}

}  // namespace

std::int64_t restricted_principal(const CaseRecord& record) {
  const bool other = record.type == CaseType::c4 || record.type == CaseType::c5;
  return other ? record.counterparty_id.value_or(record.principal_id) : record.principal_id;
}

void CaseBook::load(std::vector<std::int64_t> case_ids, bool restrictions) {
  std::sort(case_ids.begin(), case_ids.end());
  case_ids.erase(std::unique(case_ids.begin(), case_ids.end()), case_ids.end());
  const auto rows = tx_.query(kLoad, {std::span<const std::int64_t>(case_ids)});
  std::vector<std::int64_t> decided;
  for (std::size_t i = 0; i < rows->size(); ++i) {
    CaseRecord record = read_record(*rows, i);
    if (record.evaluations > 0) decided.push_back(record.case_id);
    cases_.emplace(record.case_id, std::move(record));
  }
  if (restrictions && !decided.empty()) load_restrictions(decided);
}

void CaseBook::load_restrictions(std::span<const std::int64_t> case_ids) {
  const auto rows = tx_.query(kLoadRestrictions, {case_ids});
  for (std::size_t i = 0; i < rows->size(); ++i)
    restrictions_[{rows->integer(i, 0), std::string(rows->text(i, 1))}] = {
        rows->integer(i, 2), maybe_integer(*rows, i, 3), instant(*rows, i, 4), maybe_instant(*rows, i, 5)};
}

void CaseBook::load_inputs(EvidenceReader& reader) {
  std::vector<std::int64_t> case_ids;
  for (const auto& [id, record] : cases_) case_ids.push_back(id);
  const auto rows = tx_.query(kLoadInputs, {std::span<const std::int64_t>(case_ids)});
  std::map<std::int64_t, EvidenceFields> known;
  for (std::size_t i = 0; i < rows->size(); ++i) {
    const std::int64_t id = rows->integer(i, 0);
    const CaseRecord* record = find(id);
    auto read = reader.read(rows->text(i, 5));
    if (auto* fields = std::get_if<EvidenceFields>(&read)) known[id].merge(*fields);
    CaseInput input;
    input.version = rows->integer(i, 1);
    input.kind = rows->text(i, 2) == "opened"     ? CaseInput::Kind::opened
                 : rows->text(i, 2) == "evidence" ? CaseInput::Kind::evidence
                                                  : CaseInput::Kind::reopened;
    input.material = rows->boolean(i, 3);
    input.at = instant(*rows, i, 4);
    auto complete = known[id].complete(record->type);
    if (auto* evidence = std::get_if<Evidence>(&complete)) input.evidence = *evidence;
    sources_[{id, input.version}] = {std::string(rows->text(i, 6)),
                                     rows->is_null(i, 7) ? 0 : rows->integer(i, 7)};
    inputs_[id].push_back(std::move(input));
  }
}

CaseRecord* CaseBook::find(std::int64_t case_id) {
  const auto found = cases_.find(case_id);
  return found == cases_.end() ? nullptr : &found->second;
}

const std::vector<CaseInput>& CaseBook::inputs(std::int64_t case_id) {
  return inputs_[case_id];
}

CaseRecord& CaseBook::add(CaseRecord record) {
  const std::int64_t id = record.case_id;
  CaseRecord& added = cases_[id] = std::move(record);
  touch(added);
  return added;
}

void CaseBook::add_evidence(const CaseRecord& record, CaseInput::Kind kind, bool material, Instant at,
                            const EvidenceFields& fields) {
  static constexpr std::string_view kKinds[] = {"opened", "evidence", "reopened"};
  evidence_.begin().field("case_id", record.case_id).field("version", record.version);
  evidence_.field("kind", kKinds[static_cast<int>(kind)]).field("material", material).field("at", at);
  evidence_.raw("evidence", fields.json());
  write_source(evidence_, record.stream, record.sequence);
  evidence_.end();
}

void CaseBook::add_decision(const CaseRecord& record, const Decided& decided) {
  const Decision& decision = decided.decision;
  const std::string percent = std::to_string(100 + decision.confidence_percent);  // 199: 0.99
  decisions_.begin().field("case_id", record.case_id).field("evaluation", decided.evaluation);
  decisions_.field("version", decided.version)
      .field("cause", name_of(decided.cause))
      .field("as_of", decided.as_of);
  decisions_.field("rule", decision.rule).field("outcome", name_of(decision.outcome));
  decisions_.raw("confidence", std::string(1, static_cast<char>(percent[0] - 1)) + "." + percent.substr(1));
  decisions_.field("lane", static_cast<int>(decided.lane))
      .field("hold_hours", static_cast<std::int64_t>(decision.hold.count()));
  decisions_.list("actions", decision.actions, action_name);
  const Source& source = sources_[{record.case_id, decided.version}];
  write_source(decisions_, source.stream, source.sequence);
  decisions_.end();
}

void CaseBook::audit(const CaseRecord& record, std::string_view what, std::string_view rule,
                     std::string_view detail) {
  audit_.begin()
      .field("case_id", record.case_id)
      .field("at", tx_.now())
      .field("what", what)
      .field("rule", maybe(rule));
  audit_.field("actor_id", doer_.id).field("actor_type", doer_.type).field("reason", maybe(doer_.reason));
  audit_.raw("detail", detail);
  write_source(audit_, record.stream, record.sequence);
  audit_.end();
}

bool CaseBook::restrict_to(const CaseRecord& record, std::string_view kind, Instant at) {
  auto [found, added] = restrictions_.try_emplace({record.case_id, std::string(kind)});
  Restriction& restriction = found->second;
  if (!added && !restriction.lifted_at) return false;
  restriction = {restricted_principal(record), record.channel_id, at, std::nullopt, true};
  return true;
}

std::vector<std::string> CaseBook::lift(const CaseRecord& record, Instant at, std::string_view only) {
  std::vector<std::string> lifted;
  for (auto found = restrictions_.lower_bound({record.case_id, ""});
       found != restrictions_.end() && found->first.first == record.case_id; ++found) {
    if (found->second.lifted_at || (!only.empty() && found->first.second != only)) continue;
    found->second.lifted_at = at;
    found->second.changed = true;
    lifted.push_back(found->first.second);
  }
  return lifted;
}

void CaseBook::save() {
  JsonWriter cases, restrictions;
  for (const auto& [id, touched] : touched_) write_record(cases, cases_.at(id));
  for (const auto& [key, restriction] : restrictions_) {
    if (!restriction.changed) continue;
    restrictions.begin().field("case_id", key.first).field("kind", key.second);
    restrictions.field("principal_id", restriction.principal_id).field("channel_id", restriction.channel_id);
    restrictions.field("applied_at", restriction.applied_at).field("lifted_at", restriction.lifted_at).end();
  }
  send(tx_, kSaveCases, cases);
  send(tx_, kSaveEvidence, evidence_);
  send(tx_, kSaveDecisions, decisions_);
  send(tx_, kSaveRestrictions, restrictions);
  send(tx_, kSaveAudit, audit_);
}

}  // namespace cutover::dispute
