#include "runtime/postgres/dead_letters.h"

namespace cutover::postgres {
namespace {

using Json = DeadLetters::Json;

constexpr const char* kGroups = R"sql(
SELECT to_jsonb(r) FROM (
  SELECT g."group", w.worker, g.lane, g.kind, s.error_group AS error, g.count, g.first, g.last,
    jsonb_build_object('letter', s.letter_id, 'event_id', s.event_id, 'error', s.error) AS sample
  FROM (SELECT group_id AS "group", worker_id, lane, kind, count(*) AS count, min(first_failed_at) AS first, max(last_failed_at) AS last,
               max(letter_id) AS sample
        FROM cutover.letters($1::jsonb) GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1 LIMIT $2::bigint) g
  JOIN cutover.workers w USING (worker_id) JOIN cutover.dead_letters s ON s.letter_id = g.sample
  ORDER BY g.count DESC, g."group") r)sql";

constexpr const char* kFields = R"sql(
  d.letter_id AS letter, d.state, d.result, w.worker, d.lane, d.side, d.kind, d.group_id AS "group", d.event_name, d.key, s.stream,
  s.incarnation, d.sequence, d.attempts, d.first_failed_at, d.last_failed_at, d.original IS NOT NULL AS edited, d.error)sql";

constexpr const char* kList = R"sql(
  FROM cutover.letters($1::jsonb) d JOIN cutover.workers w USING (worker_id) JOIN cutover.streams s USING (stream_id)
  WHERE d.letter_id > $2::bigint ORDER BY d.letter_id LIMIT $3::bigint) r)sql";

constexpr const char* kLetter = R"sql(,
  d.stream_id, d.subject, d.event_id, d.tenant_scope, d.idempotency_key, d.version, d.plan_id AS plan, d.published_at, d.headers,
  d.history, octet_length(d.payload) AS payload_bytes,
  (SELECT coalesce(jsonb_agg(to_jsonb(i) ORDER BY i.plan), '[]') FROM (
     SELECT i.plan_id AS plan, i.run, i.sent_at, i.publications, i.outcome, i.settled_at FROM cutover.replay_items i
     WHERE i.letter_id = d.letter_id) i) AS plans
  FROM cutover.dead_letters d JOIN cutover.workers w USING (worker_id) JOIN cutover.streams s USING (stream_id)
  WHERE d.letter_id = $1::bigint AND NOT d.shadow) r)sql";

std::string numbers(const std::vector<std::int64_t>& all) {
  std::string text = "{";
  for (const std::int64_t number : all) text += (text.size() > 1 ? "," : "") + std::to_string(number);
  return text + "}";
}

}  // namespace

std::string bytea_text(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "\\x";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return text;
}

std::string bytes_of_bytea(std::string_view text) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  for (std::size_t i = 2; i + 1 < text.size(); i += 2)
    bytes.push_back(static_cast<char>(digit(text[i]) << 4 | digit(text[i + 1])));
  return bytes;
}

Json DeadLetters::rows(const char* sql, const std::vector<Cell>& parameters) {
  Json all = Json::array();
  for (const auto& row : session_.query(sql, parameters).rows) all.push_back(Json::parse(row[0].value()));
  return all;
}

Json DeadLetters::groups(const Json& filter, std::uint64_t limit) {
  return rows(kGroups, {filter.dump(), std::to_string(limit)});
}

std::uint64_t DeadLetters::count(const Json& filter) {
  return std::stoull(
      session_.query("SELECT count(*) FROM cutover.letters($1::jsonb)", {filter.dump()}).rows[0][0].value());
}

Json DeadLetters::list(const Json& filter, std::int64_t after, std::uint64_t limit) {
  const std::string sql = std::string("SELECT to_jsonb(r) FROM (SELECT ") + kFields + kList;
  return rows(sql.c_str(), {filter.dump(), std::to_string(after), std::to_string(limit)});
}

Json DeadLetters::letter(std::int64_t letter) {
  const std::string sql = std::string("SELECT to_jsonb(r) FROM (SELECT ") + kFields + kLetter;
  const Json found = rows(sql.c_str(), {std::to_string(letter)});
  return found.empty() ? Json(nullptr) : found.front();
}

DeadLetters::Payload DeadLetters::payload(std::int64_t letter) {
  const Table table =
      session_.query("SELECT payload, original FROM cutover.dead_letters WHERE letter_id = $1::bigint",
                     {std::to_string(letter)});
  if (table.rows.empty()) return {};
  return {bytes_of_bytea(table.rows[0][0].value()), bytes_of_bytea(table.rows[0][1].value_or(""))};
}

std::vector<std::int64_t> DeadLetters::open_letters(const Json& filter) {
  Json open = filter;
  open["state"] = "open";
  std::vector<std::int64_t> all;
  for (const auto& row :
       session_.query("SELECT letter_id FROM cutover.letters($1::jsonb) ORDER BY 1", {open.dump()}).rows)
    all.push_back(std::stoll(row[0].value()));
  return all;
}

std::uint64_t DeadLetters::without_version(const Json& filter) {
  Json open = filter;
  open["state"] = "open";
  return std::stoull(
      session_
          .query("SELECT count(*) FROM cutover.letters($1::jsonb) d JOIN cutover.workers w USING (worker_id) "
                 "WHERE w.ordered AND d.version = 0",
                 {open.dump()})
          .rows[0][0]
          .value());
}

std::uint64_t DeadLetters::drop(const std::vector<std::int64_t>& letters, std::int64_t version,
                                const std::string& actor, const std::string& reason) {
  return std::stoull(session_
                         .query("SELECT cutover.drop_letters($1::bigint[], nullif($2::bigint, 0), $3, $4)",
                                {numbers(letters), std::to_string(version), actor, reason})
                         .rows[0][0]
                         .value());
}

void DeadLetters::edit(const Edit& e, const std::string& actor, const std::string& reason) {
  session_.query(
      "SELECT cutover.edit_letter($1::bigint, $2::integer, $3::bytea, $4, $5, $6, $7, $8, $9::bigint, "
      "$10::jsonb, $11, $12)",
      {std::to_string(e.letter), std::to_string(e.entries), bytea_text(e.payload), e.event_id, e.event_name,
       e.key, e.tenant_scope, e.idempotency_key, std::to_string(e.version), e.changes.dump(), actor, reason});
}

std::vector<DeadLetters::Line> DeadLetters::export_lines(const Json& filter, std::int64_t after,
                                                         std::uint64_t limit) {
  std::vector<Line> lines;
  for (const auto& row :
       session_
           .query("SELECT d.letter_id, cutover.letter_document(d) FROM cutover.dead_letters d WHERE "
                  "d.letter_id IN ("
                  "SELECT l.letter_id FROM cutover.letters($1::jsonb) l WHERE l.letter_id > $2::bigint "
                  "ORDER BY l.letter_id LIMIT $3::bigint) ORDER BY d.letter_id",
                  {filter.dump(), std::to_string(after), std::to_string(limit)})
           .rows)
    lines.push_back({std::stoll(row[0].value()), row[1].value()});
  return lines;
}

Json DeadLetters::import_lines(const std::string& documents, const std::string& actor,
                               const std::string& reason, bool dry_run) {
  return rows("SELECT cutover.import_letters($1::jsonb, $2, $3, $4::boolean)",
              {documents, actor, reason, dry_run ? "t" : "f"})
      .front();
}

}  // namespace cutover::postgres
