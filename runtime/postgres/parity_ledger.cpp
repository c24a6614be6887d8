#include "runtime/postgres/parity_ledger.h"

#include <fmt/format.h>

namespace cutover::postgres {
namespace {

// Where the present stretch of shadow and canary segments begins, and what either side has settled since.
constexpr const char* kSettled = R"sql(
compared AS (
  SELECT o.worker_id, o.stream_id, s.stream, min(o.from_sequence) AS begin
  FROM cutover.ownership o JOIN cutover.workers w USING (worker_id) JOIN cutover.streams s USING (stream_id)
  WHERE w.worker = $1 AND o.mode IN ('shadow', 'canary')
    AND s.incarnation = (SELECT max(n.incarnation) FROM cutover.streams n WHERE n.stream = s.stream)
    AND NOT EXISTS (SELECT FROM cutover.ownership l WHERE l.worker_id = o.worker_id AND l.stream_id = o.stream_id
                    AND l.epoch > o.epoch AND l.mode NOT IN ('shadow', 'canary'))
  GROUP BY o.worker_id, o.stream_id, s.stream),
settled AS MATERIALIZED (
  SELECT c.stream_id, c.stream, c.begin,
         coalesce(range_agg(t.sequences) FILTER (WHERE t.side <> 's'), '{}') * int8multirange(int8range(c.begin, NULL)) AS serving,
         coalesce(range_agg(t.sequences) FILTER (WHERE t.side = 's'), '{}') * int8multirange(int8range(c.begin, NULL)) AS shadow,
         coalesce(range_agg(t.sequences) FILTER (WHERE t.side <> 's' AND t.class = 'x'), '{}') AS serving_x,
         coalesce(range_agg(t.sequences) FILTER (WHERE t.side = 's' AND t.class = 'x'), '{}') AS shadow_x
  FROM compared c
  LEFT JOIN cutover.settlements t ON t.worker_id = c.worker_id AND t.stream_id = c.stream_id AND t.span && int8range(c.begin, NULL)
  GROUP BY c.stream_id, c.stream, c.begin))sql";

constexpr const char* kMarks = R"sql(
SELECT d.stream, d.begin, lower(d.one), greatest(coalesce(upper(d.either), d.begin) - 1, 0), d.shadow @> lower(d.one)
FROM (SELECT stream, begin, serving, shadow, (serving + shadow) - (serving * shadow) AS one, serving + shadow AS either
      FROM settled) d)sql";

// An event that both sides applied in their own way and then one gave up on again, on a replay, counts by its
// last letter.
constexpr const char* kLetters = R"sql(
letters AS (
  SELECT s.stream, d.sequence, d.shadow, max(d.kind) AS kind, max(d.error) AS error, max(d.subject) AS subject
  FROM settled s JOIN cutover.dead_letters d ON d.stream_id = s.stream_id AND (s.serving * s.shadow) @> d.sequence
  JOIN cutover.workers w ON w.worker_id = d.worker_id AND w.worker = $1
  WHERE d.shadow AND s.shadow_x @> d.sequence OR NOT d.shadow AND s.serving_x @> d.sequence
  GROUP BY s.stream, d.sequence, d.shadow),
both_sides AS (
  SELECT coalesce(m.stream, w.stream) AS stream, coalesce(m.sequence, w.sequence) AS sequence,
         m.kind AS serving_kind, m.error AS serving_error, w.kind AS worker_kind, w.error AS worker_error,
         coalesce(m.subject, w.subject) AS subject
  FROM (SELECT * FROM letters WHERE NOT shadow) m FULL JOIN (SELECT * FROM letters WHERE shadow) w USING (stream, sequence)))sql";

constexpr const char* kGivenUp = R"sql(
SELECT stream || '/' || sequence, coalesce(serving_kind || ': ' || serving_error, ''),
       coalesce(worker_kind || ': ' || worker_error, ''), subject
FROM both_sides WHERE serving_kind IS DISTINCT FROM worker_kind ORDER BY stream, sequence LIMIT $2::bigint)sql";

constexpr const char* kObstacles = R"sql(
SELECT coalesce((SELECT o.mode FROM cutover.ownership o WHERE o.worker_id = w.worker_id ORDER BY o.epoch DESC LIMIT 1), ''),
  EXISTS (
    SELECT FROM cutover.instances i
    JOIN pg_locks l ON l.locktype = 'advisory' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND l.classid::bigint = cutover.lock_class_instance()
      AND l.objid::bigint = (hashtext(i.instance)::bigint & 4294967295) AND l.objsubid = 2
    WHERE i.worker_id = w.worker_id AND i.side = 'worker' AND i.stopped_at IS NULL AND i.seen_at > now() - interval '1 minute'),
  EXISTS (
    SELECT FROM cutover.instances i
    WHERE i.worker_id = w.worker_id AND i.side = 'monolith' AND i.stopped_at IS NULL AND i.seen_at > now() - interval '1 minute')
FROM cutover.workers w WHERE w.worker = $1)sql";

std::string with(const char* first, const char* second, const char* query) {
  return fmt::format("WITH {}{}{}{}", first, *second != '\0' ? "," : "", second, query);
}

}  // namespace

parity::Marks ParityLedger::marks() {
  parity::Marks marks;
  for (const auto& row : session_.query(with(kSettled, "", kMarks), {worker_}).rows) {
    parity::StreamMark& mark = marks[row[0].value()];
    mark.highest = std::stoull(row[3].value());
    mark.common = row[2] ? std::stoull(*row[2]) - 1 : mark.highest;
    if (row[2]) mark.behind = row[4] == "t" ? "serving" : "worker";
  }
  return marks;
}

std::vector<GivenUp> ParityLedger::given_up(std::size_t limit) {
  std::vector<GivenUp> events;
  const Table table = session_.query(with(kSettled, kLetters, kGivenUp), {worker_, std::to_string(limit)});
  for (const auto& row : table.rows)
    events.push_back({row[0].value(), row[1].value(), row[2].value(), row[3].value()});
  return events;
}

std::uint64_t ParityLedger::given_up_alike() {
  return std::stoull(session_
                         .query(with(kSettled, kLetters,
                                     " SELECT count(*) FROM both_sides WHERE serving_kind = worker_kind"),
                                {worker_})
                         .rows.at(0)
                         .at(0)
                         .value());
}

std::vector<std::string> ParityLedger::obstacles() {
  const Table table = session_.query(kObstacles, {worker_});
  if (table.rows.empty()) return {fmt::format("{} is not known here: it never ran", worker_)};
  const auto& row = table.rows.front();
  std::vector<std::string> found;
  if (row[0] != "shadow" && row[0] != "canary")
    found.push_back(fmt::format("{} is at stage {}: it computes nothing to be compared", worker_,
                                row[0]->empty() ? "none" : *row[0]));
  if (row[1] != "t") found.push_back("no instance of the worker is alive");
  if (row[2] != "t") found.emplace_back("the monolith's gate was not seen within a minute");
  return found;
}

int ParityLedger::schema_version() {
  return std::stoi(session_.query("SELECT cutover.schema_version()").rows.at(0).at(0).value());
}

}  // namespace cutover::postgres
