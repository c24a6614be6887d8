#include "integration/ownership_world.h"

#include <stdexcept>

#include "fixtures/waiting.h"
#include "runtime/nats/api.h"
#include "runtime/policy/vectors.h"

namespace cutover::test {

using nlohmann::json;

void append_segments(const Servers& servers, const std::string& worker, const std::vector<std::string>& streams,
                     const std::string& mode, const std::string& percent) {
  postgres::Connection connection(servers.database.options());
  connection.connect();
  TestBroker broker(servers.nats.url());
  std::vector<std::string_view> names(streams.begin(), streams.end());
  std::vector<std::int64_t> incarnations, last;
  for (const std::string& stream : streams) {
    const auto created = parse_api_time(broker.admin.stream(stream)->value("created", "")).value();
    incarnations.push_back(
        connection.run("SELECT cutover.stream_incarnation($1::text, $2::timestamptz)::bigint", {std::string_view(stream), created})
            ->integer(0, 0));
    last.push_back(static_cast<std::int64_t>(broker.last_sequence(stream)));
  }
  connection.run("BEGIN");
  connection.run(
      "SELECT pg_advisory_xact_lock(cutover.lock_class_worker(), worker_id) FROM cutover.workers WHERE worker = $1::text",
      {std::string_view(worker)});
  connection.run(
      "SELECT * FROM cutover.append_segments($1::text, $2::text, $3::text::numeric, 'test', 'set up', $4::text[], "
      "$5::bigint[]::integer[], $6::bigint[])",
      {std::string_view(worker), std::string_view(mode), std::string_view(percent), std::span<const std::string_view>(names),
       std::span<const std::int64_t>(incarnations), std::span<const std::int64_t>(last)});
  connection.run("COMMIT");
}

OwnershipWorld::OwnershipWorld() {
  more["CUTOVER_OWNERSHIP_ORDER"] = "search-projector,dispute-processor";
  database.query("UPDATE cutover.workers SET first_owner = 'monolith'");
  if (const Ended ended = run({"streams", "apply"}); ended.code != 0) throw std::runtime_error(ended.err);
}

json OwnershipWorld::ask(std::vector<std::string> arguments) const {
  arguments.emplace_back("--json");
  const Ended ended = run(arguments);
  json document = json::parse(ended.out, nullptr, false);
  if (!document.is_object()) document = json::object();
  document["code"] = ended.code;
  document["err"] = ended.err;
  return document;
}

json OwnershipWorld::change(std::vector<std::string> arguments) const {
  arguments.insert(arguments.end(), {"--reason", "a test"});
  return ask(std::move(arguments));
}

json OwnershipWorld::guard(const std::string& name) const {
  const json document = ask({"switch", "search-projector", "--dry-run"});
  for (const json& guard : document.value("guards", json::array()))
    if (guard["name"] == name) return guard;
  return document;
}

void OwnershipWorld::run_worker() {
  worker = std::make_unique<Process>(cutover_command({"run", "search-projector"}), environment());
  if (!worker->wait_for("\"msg\":\"started\"", std::chrono::seconds(20)))
    throw std::runtime_error(worker->err());
  if (!eventually([&] {
        return database.value("SELECT bool_or(ready) FROM cutover.instances WHERE side = 'worker'") == "t";
      }))
    throw std::runtime_error("the worker is not ready: " + worker->err());
}

void OwnershipWorld::see_gate() {
  database.query(
      "INSERT INTO cutover.instances (instance, worker_id, side, build, host, pid, ready, detail) "
      "SELECT 'gate-1', worker_id, 'monolith', 'mono', 'here', 1, true, jsonb_build_object('vectors', "
      "$1::text) "
      "FROM cutover.workers WHERE worker = 'search-projector' "
      "ON CONFLICT (instance, worker_id) DO UPDATE SET seen_at = now(), detail = excluded.detail",
      {std::string(vectors_hash())});
}

void OwnershipWorld::note_parity() {
  const json version = json::parse(run({"version", "--json"}).out);
  database.query(
      "INSERT INTO cutover.parity_verdicts (worker, verdict, samples, build, schema_version) "
      "VALUES ('search-projector', 'ok', 5000, $1, cutover.schema_version())",
      {version["version"].get<std::string>()});
}

void OwnershipWorld::stand_at(const std::string& mode, const std::string& percent) {
  append_segments(*this, "search-projector", {"CORE", "CONTACT"}, mode, percent);
}

std::string OwnershipWorld::stage() {
  return database.value("SELECT mode || ' ' || percent FROM cutover.ownership ORDER BY epoch DESC LIMIT 1");
}

std::string OwnershipWorld::tables() {
  return database.value(
      "SELECT concat_ws('; ', (SELECT json_agg(o ORDER BY epoch, stream_id) FROM cutover.ownership o), "
      "(SELECT json_agg(s ORDER BY stream_id) FROM cutover.streams s), "
      "(SELECT json_agg(l ORDER BY log_id) FROM cutover.operator_log l), "
      "(SELECT count(*) FROM cutover.settlements), (SELECT count(*) FROM cutover.outbox), "
      "(SELECT json_agg(d ORDER BY doc_id) FROM shadow.search_documents d))");
}

std::uint64_t OwnershipWorld::publish_contacts(int from, int count) {
  TestBroker broker(nats.url());
  std::vector<Sending> messages;
  for (int i = from; i < from + count; ++i) {
    EventDraft draft;
    draft.event_name = "contact.edge_upserted";
    draft.idempotency_key = "contact-" + std::to_string(i);
    draft.subject_id = std::to_string(i);
    messages.push_back(sending(draft, std::to_string(i)));
    messages.back().headers.emplace_back("traceparent",
                                         "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  }
  return broker.publish(messages).back();
}

}  // namespace cutover::test
