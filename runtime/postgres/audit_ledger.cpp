#include "runtime/postgres/audit_ledger.h"

namespace cutover::postgres {
namespace {

constexpr const char* kStream = R"sql(
SELECT stream_id, incarnation, (extract(epoch FROM created_at) * 1000000)::bigint
FROM cutover.streams WHERE stream = $1 AND $2::integer IN (0, incarnation) ORDER BY incarnation DESC LIMIT 1)sql";

constexpr const char* kStretch = R"sql(
WITH asked AS (
  SELECT w.worker_id, $2::integer AS stream_id, int8range($3::bigint, $4::bigint) AS span FROM cutover.workers w WHERE w.worker = $1)
SELECT t.side::text, t.class::text, range_agg(t.sequences * int8multirange(a.span))::text
FROM asked a JOIN cutover.settlements t ON t.worker_id = a.worker_id AND t.stream_id = a.stream_id AND t.span && a.span
WHERE t.side <> 's'
GROUP BY t.side, t.class
UNION ALL
SELECT 'w', 'open', range_agg(int8range(d.sequence, d.sequence, '[]'))::text
FROM asked a JOIN cutover.dead_letters d ON d.worker_id = a.worker_id AND d.stream_id = a.stream_id AND a.span @> d.sequence
WHERE NOT d.shadow AND d.state IN ('open', 'replaying')
HAVING count(*) > 0)sql";

constexpr const char* kBeyond = R"sql(
SELECT max(upper(t.span)) - 1 FROM cutover.settlements t JOIN cutover.workers w USING (worker_id)
WHERE w.worker = $1 AND t.stream_id = $2::integer AND t.span && int8range($3::bigint + 1, NULL) AND t.side <> 's')sql";

constexpr const char* kSegments = R"sql(
SELECT o.epoch, s.incarnation, o.from_sequence, o.mode, (o.percent * 100)::integer
FROM cutover.ownership o JOIN cutover.workers w USING (worker_id) JOIN cutover.streams s USING (stream_id)
WHERE w.worker = $1 AND o.stream_id = $2::integer ORDER BY o.epoch)sql";

constexpr const char* kMonolith = R"sql(
SELECT l.value ->> 'stream', l.value ->> 'durable'
FROM (SELECT i.detail -> 'lanes' AS lanes FROM cutover.instances i JOIN cutover.workers w USING (worker_id)
      WHERE w.worker = $1 AND i.side = 'monolith' AND jsonb_typeof(i.detail -> 'lanes') = 'object'
      ORDER BY i.seen_at DESC LIMIT 1) newest
CROSS JOIN LATERAL jsonb_each(newest.lanes) l
WHERE l.value ->> 'stream' IS NOT NULL AND l.value ->> 'durable' IS NOT NULL ORDER BY 1, 2)sql";

SequenceSet& set_of(LedgerView& view, const std::string& side, const std::string& settled_as) {
  if (settled_as == "open") return view.unresolved;
  if (settled_as == "z") return view.seized;
  if (side == "m") return view.other_side;
  if (settled_as == "a") return view.applied;
  if (settled_as == "d") return view.duplicate;
  if (settled_as == "n") return view.not_addressed;
  return view.dead_letter;
}

Mode mode_of(const std::string& text) {
  if (text == "monolith") return Mode::monolith;
  if (text == "shadow") return Mode::shadow;
  if (text == "canary") return Mode::canary;
  return Mode::worker;
}

}  // namespace

std::optional<KnownStream> AuditLedger::stream(const std::string& name, int incarnation) {
  const Table table = session_.query(kStream, {name, std::to_string(incarnation)});
  if (table.rows.empty()) return std::nullopt;
  const auto& row = table.rows.front();
  return KnownStream{std::stoll(row[0].value()), name, std::stoi(row[1].value()),
                     Instant(std::chrono::microseconds(std::stoll(row[2].value())))};
}

AuditLedger::Stretch AuditLedger::stretch(const KnownStream& stream, SequenceRange range) {
  Stretch stretch;
  const Table table = session_.query(kStretch, {worker_, std::to_string(stream.stream_id),
                                                std::to_string(range.begin), std::to_string(range.end)});
  for (const auto& row : table.rows) {
    const SequenceSet sequences = parse_sequence_set(row[2].value_or("{}"));
    stretch.ranges += sequences.ranges().size();
    SequenceSet& set = set_of(stretch.view, row[0].value(), row[1].value());
    set = set | sequences;
  }
  return stretch;
}

std::optional<std::uint64_t> AuditLedger::settled_beyond(const KnownStream& stream, std::uint64_t sequence) {
  const Cell highest =
      session_.query(kBeyond, {worker_, std::to_string(stream.stream_id), std::to_string(sequence)})
          .rows.at(0)
          .at(0);
  return highest ? std::optional<std::uint64_t>(std::stoull(*highest)) : std::nullopt;
}

Ownership AuditLedger::ownership(const std::optional<KnownStream>& stream) {
  Ownership ownership;
  const Table first = session_.query("SELECT first_owner FROM cutover.workers WHERE worker = $1", {worker_});
  if (!first.rows.empty() && first.rows[0][0] == "monolith") ownership.first = Side::monolith;
  if (!stream) return ownership;
  ownership.incarnation = stream->incarnation;
  for (const auto& row : session_.query(kSegments, {worker_, std::to_string(stream->stream_id)}).rows)
    ownership.segments.push_back({std::stoll(row[0].value()), std::stoi(row[1].value()),
                                  std::stoull(row[2].value()), mode_of(row[3].value()),
                                  std::stoi(row[4].value())});
  return ownership;
}

std::vector<MonolithConsumer> AuditLedger::monolith_consumers() {
  std::vector<MonolithConsumer> consumers;
  for (const auto& row : session_.query(kMonolith, {worker_}).rows)
    consumers.push_back({row[0].value(), row[1].value()});
  return consumers;
}

}  // namespace cutover::postgres
