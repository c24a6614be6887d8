#include "integration/score_servers.h"

#include <httplib.h>

#include <stdexcept>

#include "fixtures/test_broker.h"
#include "fixtures/waiting.h"

namespace cutover::test {

using nlohmann::json;
using namespace std::chrono_literals;

ScoreServers::ScoreServers() {
  if (const Ended ended = run({"streams", "apply"}); ended.code != 0) throw std::runtime_error(ended.err);
  execute(
      {"INSERT INTO app.principals (principal_id) SELECT generate_series(1, 40)",
       "INSERT INTO app.profiles (owner_principal_id, profile_class) SELECT generate_series(1, 40), 'single'",
       "INSERT INTO app.channels (principal_id, kind, value, state, verified_at) "
       "SELECT i, 'phone', 'v' || i, 'verified_active', '2026-05-01' FROM generate_series(1, 40, 2) i",
       // The next two answer, the one behind them does not.
       "INSERT INTO app.contacts (contact_id, owner_id, target_id, state, confidence, first_seen_at, "
       "last_evidence_at) "
       "SELECT 10 * i + k, i, (i + (ARRAY[-2, -1, 1, 2, 3])[k] + 39) % 40 + 1, 'active_confirmed', 0.4 + 0.1 "
       "* k, '2026-01-01', "
       "'2026-05-30' FROM generate_series(1, 40) i, generate_series(1, 5) k"});
}

std::unique_ptr<Process> ScoreServers::start_worker() {
  auto worker = std::make_unique<Process>(
      cutover_command({"run", "score-orchestrator", "--set", "ops.port=0"}), environment());
  if (!worker->wait_for("\"msg\":\"started\"", 20s)) throw std::runtime_error(worker->err());
  return worker;
}

json ScoreServers::ask(std::vector<std::string> arguments) const {
  arguments.emplace_back("--json");
  const Ended ended = run(arguments);
  json document = json::parse(ended.out, nullptr, false);
  if (!document.is_object()) document = json::object();
  document["code"] = ended.code;
  document["err"] = ended.err;
  return document;
}

void ScoreServers::compute(const std::string& as_of) const {
  const Ended ended = run({"trigger", "score", "--as-of", as_of, "--wait"});
  if (ended.code != 0) throw std::runtime_error(ended.err);
}

json ScoreServers::run_in_state(const std::string& state) const {
  const json document = ask({"status", "score-orchestrator"});
  for (const json& one : document.value("score_runs", json::array()))
    if (one["state"] == state) return one;
  return nullptr;
}

std::uint64_t ScoreServers::request(const std::string& payload, const std::string& occurred_at) {
  static int requests = 0;
  EventDraft draft;
  draft.event_name = "score.recompute_requested";
  draft.subject_id = "score";
  draft.idempotency_key = "test-" + std::to_string(++requests);
  json envelope = json::parse(draft.text());
  envelope["occurred_at"] = occurred_at;
  envelope["payload"] = json::parse(payload);
  return TestBroker(nats.url()).publish({draft.event_name, envelope.dump(), "", {{"Cutover-Key", "score"}}});
}

std::int64_t ScoreServers::sent(const std::string& stream, const std::string& subject) const {
  std::int64_t count = 0;
  for (const StoredMessage& message : TestBroker(nats.url()).all(stream)) count += message.subject == subject;
  return count;
}

StandstillAtStaging::StandstillAtStaging(const TestDatabase& database)
    : connection_(database.options("cutover standstill")) {
  connection_.connect();
  connection_.run("BEGIN");
  connection_.run("LOCK TABLE serving.score_results IN SHARE MODE");
}

bool StandstillAtStaging::reached() {
  return eventually([&] {
    return connection_
        .run(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'serving.score_results'::regclass AND NOT "
            "granted AND mode = 'RowExclusiveLock')")
        ->boolean(0, 0);
  });
}

void StandstillAtStaging::end() {
  connection_.run("ROLLBACK");
}

std::string metric(const Process& process, const std::string& series) {
  const std::string& log = process.err();
  const auto at = log.find("\"ops_port\":") + 11;
  const auto answer = httplib::Client("127.0.0.1", std::stoi(log.substr(at))).Get("/metrics");
  if (!answer) return {};
  const auto line = answer->body.find("\n" + series + " ");
  if (line == std::string::npos) return {};
  const auto value = line + series.size() + 2;
  return answer->body.substr(value, answer->body.find('\n', value) - value);
}

}  // namespace cutover::test
