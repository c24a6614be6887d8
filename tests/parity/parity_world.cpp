#include "parity/parity_world.h"

#include <unistd.h>

#include <fstream>
#include <sstream>

namespace cutover::test {

namespace fs = std::filesystem;
using nlohmann::json;

ParityWorld::ParityWorld(std::int64_t documents)
    : out(fs::temp_directory_path() / ("cutover-parity-" + std::to_string(::getpid()))) {
  fs::remove_all(out);
  for (const char* schema : {"serving", "shadow"}) {
    const std::string list =
        "SELECT 'DROP INDEX ' || string_agg(format('%I.%I', schemaname, indexname), ', ') FROM pg_indexes "
        "WHERE "
        "schemaname = '" +
        std::string(schema) + "' AND tablename = 'search_documents' AND indexname NOT LIKE '%pkey'";
    database.query(database.value(list));
  }
  database.query(
      "INSERT INTO serving.search_documents (doc_id, kind, owner_id, visibility, display_name, phone, email, "
      "username, company_name, "
      "job_title, circle_names, tsv, updated_at, stream, seq) "
      "SELECT CASE WHEN i % 10 < 8 THEN 'contact:' ELSE 'profile:' END || i, "
      "CASE WHEN i % 10 < 8 THEN 'contact' WHEN i % 10 = 8 THEN 'profile' ELSE 'business' END, i / 100, "
      "CASE WHEN i % 10 < 8 THEN 'owner' ELSE 'public' END, 'Name ' || i, '+49' || i, 'a' || i || "
      "'@example.org', "
      "CASE WHEN i % 10 >= 8 THEN 'user' || i END, 'Company ' || i % 1000, 'Title ' || i % 50, "
      "CASE WHEN i % 3 = 0 THEN ARRAY['family', 'work'] ELSE '{}' END, to_tsvector('simple', 'Name ' || i || "
      "' ' || "
      "left('a b c d e f g h i j k l', 2 * (1 + i % 9 + i % 4)::integer)), "
      "'2026-11-01', CASE WHEN i % 2 = 0 THEN 'CONTACT' END, CASE WHEN i % 2 = 0 THEN 1 + i % 1000 END "
      "FROM generate_series(1, $1::bigint) i",
      {std::to_string(documents)});
  database.query("INSERT INTO shadow.search_documents SELECT * FROM serving.search_documents");
  database.query("ANALYZE serving.search_documents");
  database.query("ANALYZE shadow.search_documents");
  database.query(
      "INSERT INTO cutover.streams (stream, incarnation, created_at) VALUES ('CONTACT', 1, '2026-11-01'), "
      "('CORE', 1, '2026-11-01')");
  database.query(
      "INSERT INTO cutover.ownership (worker_id, epoch, stream_id, from_sequence, mode, actor, reason) "
      "SELECT worker_id, 1, stream_id, 1, 'shadow', 'test', 'test' FROM cutover.workers CROSS JOIN "
      "cutover.streams");
  database.query(
      "INSERT INTO cutover.instances (instance, worker_id, side, build, host, pid, ready) "
      "SELECT side || '-1 ' || worker, worker_id, side, 'test', 'here', 1, true FROM cutover.workers CROSS "
      "JOIN (VALUES ('worker'), "
      "('monolith')) s (side)");
  database.query(
      "SELECT pg_advisory_lock(cutover.lock_class_instance(), hashtext(instance)) FROM cutover.instances "
      "WHERE side = 'worker'");
  settle('m', 1, 1'000);
  settle('s', 1, 1'000);
}

ParityWorld::~ParityWorld() {
  std::error_code ignored;
  fs::remove_all(out, ignored);
}

void ParityWorld::settle(char side, std::int64_t from, std::int64_t to, const std::string& stream) {
  database.query(
      "INSERT INTO cutover.settlements (worker_id, stream_id, side, class, sequences, span) "
      "SELECT worker_id, stream_id, $1::\"char\", 'a', int8multirange(int8range($2::bigint, $3::bigint, "
      "'[]')), "
      "int8range($2::bigint, $3::bigint, '[]') FROM cutover.workers CROSS JOIN cutover.streams "
      "WHERE worker = $4 AND stream = $5",
      {std::string(1, side), std::to_string(from), std::to_string(to), worker, stream});
}

Process::Environment ParityWorld::environment() const {
  Process::Environment all = {{"CUTOVER_POSTGRES_URL", database.url()}};
  all.insert(more.begin(), more.end());
  return all;
}

json ParityWorld::compare(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"compare", worker, "--json", "--out", out.string()});
  arguments.insert(arguments.end(), always.begin(), always.end());
  const Ended ended = run_cutover(arguments, environment());
  json document = json::parse(ended.out, nullptr, false);
  if (!document.is_object()) document = json::object();
  document["code"] = ended.code;
  document["err"] = ended.err;
  return document;
}

void ParityWorld::fill_scores(std::int64_t principals) {
  for (const std::string schema : {"serving", "shadow"})
    database.query(
        "INSERT INTO " + schema +
            ".score_updates (principal_id, as_of, score, quality, position, stability, trust, edges) "
            "SELECT i, '2026-11-20', 20 + i % 6000 / 100.0, 0.5, 0.4, i % 7 / 10.0, 1, i % 50 "
            "FROM generate_series(1, $1::bigint) i",
        {std::to_string(principals)});
}

void ParityWorld::fill_cases(std::int64_t cases) {
  for (const std::string schema : {"serving", "shadow"}) {
    database.query(
        "INSERT INTO " + schema +
            ".dispute_queue (case_id, case_type, severity, principal_id, opened_at, verified_business, "
            "state, version, "
            "decided_version, evaluations, routed_lane, base_lane, lane, first_response_due, rule, outcome, "
            "actions, stream, seq) "
            "SELECT i, 'C' || 1 + i % 6, 'L1', i, '2026-11-20', false, 'queued', 1, 1, 1, 2, 2, 2, "
            "'2026-11-21', "
            "'C' || 1 + i % 6 || '.rule', 'queue', '{log}', 'CORE', 1 FROM generate_series(1, $1::bigint) i",
        {std::to_string(cases)});
    database.query("INSERT INTO " + schema +
                       ".dispute_decisions (case_id, evaluation, version, cause, as_of, rule, outcome, "
                       "confidence, lane, hold_hours, "
                       "actions, stream, seq) SELECT i, 1, 1, 'opened', '2026-11-20', 'C' || 1 + i % 6 || "
                       "'.rule', 'queue', 0.5, 2, 24, "
                       "'{log}', 'CORE', 1 FROM generate_series(1, $1::bigint) i",
                   {std::to_string(cases)});
  }
}

std::string ParityWorld::report(const std::string& name) const {
  std::ifstream in(out / name);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<json> ParityWorld::differences() const {
  std::vector<json> lines;
  std::ifstream in(out / "diffs.jsonl");
  for (std::string line; std::getline(in, line);) lines.push_back(json::parse(line));
  return lines;
}

std::uint64_t ParityWorld::count(const json& summary, const std::string& what, std::size_t output) {
  return summary.at("outputs").at(output).at("counts").at(what).get<std::uint64_t>();
}

}  // namespace cutover::test
