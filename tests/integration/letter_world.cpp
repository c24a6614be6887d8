#include "integration/letter_world.h"

#include "fixtures/event_draft.h"
#include "runtime/policy/error_group.h"
#include "runtime/postgres/connection.h"

namespace cutover::test {
namespace {

// What write_dead_letter and settle leave behind, for many at once.
constexpr const char* kLetters = R"sql(
WITH given AS (
  SELECT w.worker_id, s.stream_id, u.* FROM unnest($4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[]) u (sequence, event_id, body, error, error_group)
  CROSS JOIN cutover.workers w CROSS JOIN cutover.streams s WHERE w.worker = $1::text AND s.stream = $2::text),
marked AS (
  INSERT INTO cutover.marks_0 (key, stream_id, sequence)
  SELECT cutover.mark_key('v', worker_id, E'global\x1fwork ' || sequence), stream_id, sequence FROM given),
settled AS (
  INSERT INTO cutover.settlements (worker_id, stream_id, side, class, sequences, span, event_hashes)
  SELECT worker_id, stream_id, 'w', 'x', range_agg(int8range(sequence, sequence, '[]')), int8range(min(sequence), max(sequence), '[]'),
         array_agg(cutover.event_hash(event_id) ORDER BY sequence) FROM given GROUP BY 1, 2)
INSERT INTO cutover.dead_letters (worker_id, stream_id, sequence, shadow, event_hash, lane, side, subject, event_id, event_name, key, tenant_scope,
  idempotency_key, version, kind, error, error_group, attempts, first_failed_at, last_failed_at, history, published_at, headers, payload)
SELECT worker_id, stream_id, sequence, false, cutover.event_hash(event_id), $9::text, 'worker', $10::text, event_id, $10::text, 'subject ' || sequence, 'global',
  'work ' || sequence, 1, $3::text, error, error_group, 1, now(), now(),
  jsonb_build_array(jsonb_build_object('at', now(), 'kind', $3::text, 'error', error, 'attempts', 1, 'instance', 'worker-1', 'build', '1.0.0')),
  now(), jsonb_build_array(jsonb_build_array('traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'), jsonb_build_array('Cutover-Key', 'subject ' || sequence)),
  convert_to(body, 'UTF8')
FROM given ORDER BY sequence)sql";

}  // namespace

LetterWorld::LetterWorld() {
  for (const char* stream : {"CONTACT", "CORE", "GRAPH"})
    db.query("SELECT cutover.stream_incarnation($1, '2026-01-01T00:00:00Z')", {stream});
}

std::int64_t LetterWorld::add(const Problem& p) {
  std::vector<std::int64_t> sequences;
  std::vector<std::string> ids, bodies, errors, groups;
  for (int i = 0; i < p.count; ++i) {
    const std::int64_t sequence = ++sequence_;
    EventDraft draft;
    draft.event_name = p.event;
    draft.subject_id = "subject " + std::to_string(sequence);
    draft.idempotency_key = "work " + std::to_string(sequence);
    draft.payload = p.payload;
    std::string error = p.error;
    if (const auto at = error.find("<n>"); at != std::string::npos)
      error.replace(at, 3, std::to_string(1'000'003 * sequence % 999'983));
    sequences.push_back(sequence);
    ids.push_back(draft.id());
    bodies.push_back(draft.text());
    groups.push_back(error_group(error));
    errors.push_back(std::move(error));
  }
  const auto views = [](const std::vector<std::string>& texts) {
    return std::vector<std::string_view>(texts.begin(), texts.end());
  };
  const auto id = views(ids), body = views(bodies), error = views(errors), group = views(groups);
  using Texts = std::span<const std::string_view>;
  postgres::Connection connection(db.options("letters"));
  connection.connect();
  connection.run(kLetters, {std::string_view(p.worker), std::string_view(p.stream), std::string_view(p.kind),
                            std::span<const std::int64_t>(sequences), Texts(id), Texts(body), Texts(error),
                            Texts(group), std::string_view(p.lane), std::string_view(p.event)});
  return db.count("SELECT max(letter_id) FROM cutover.dead_letters") - p.count + 1;
}

Ended LetterWorld::dlq(std::vector<std::string> arguments, const Process::Environment& more) const {
  arguments.insert(arguments.begin(), "dlq");
  Process::Environment environment = {{"CUTOVER_POSTGRES_URL", db.url()}};
  for (const auto& [name, value] : more) environment[name] = value;
  return run_cutover(arguments, environment);
}

nlohmann::json LetterWorld::ask(std::vector<std::string> arguments, const Process::Environment& more) const {
  arguments.emplace_back("--json");
  const Ended ended = dlq(std::move(arguments), more);
  nlohmann::json answer = ended.out.empty() ? nlohmann::json::object() : nlohmann::json::parse(ended.out);
  answer["code"] = ended.code;
  answer["err"] = ended.err;
  return answer;
}

std::string LetterWorld::group_of(std::int64_t letter) {
  return db.value("SELECT group_id FROM cutover.dead_letters WHERE letter_id = " + std::to_string(letter));
}

std::string LetterWorld::states() {
  return db.value(
      "SELECT string_agg(n || ' ' || state, ', ' ORDER BY state DESC) FROM (SELECT state, count(*) AS n FROM "
      "cutover.dead_letters GROUP BY 1) s");
}

}  // namespace cutover::test
