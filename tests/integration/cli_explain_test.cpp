// `cutover explain` tells what servers know of one event.
#include <signal.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "fixtures/server_addresses.h"
#include "fixtures/waiting.h"
#include "integration/audit_world.h"

using namespace cutover::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

namespace {

struct Told {
  int code = 0;
  json document;
  const json& operator[](const char* name) const { return document.at(name); }
};

Told explain(const AuditWorld& world, const std::string& event,
             const std::vector<std::string>& arguments = {}) {
  std::vector<std::string> all{"explain", "search-projector", event, "--json"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  const Ended ended = world.run(all);
  if (ended.out.empty()) throw std::runtime_error("no document: " + ended.err);
  return {ended.code, json::parse(ended.out)};
}

std::string human(const AuditWorld& world, const std::string& event) {
  return world.run({"explain", "search-projector", event}).out;
}

// The nth event that the world publishes.
std::string id_of(int n) {
  return uuid_of("event " + std::to_string(n));
}

const std::vector<std::string> kFive{"a", "b", "c", "d", "e"};

void outgoing(AuditWorld& world, const std::string& id, const std::string& body, const std::string& rest) {
  world.db.query(
      "INSERT INTO cutover.outbox (message_id, event_id, subject, key, payload, published_at, stream, "
      "sequence) "
      "VALUES ($1, $1, 'search.document_changed', 'k', convert_to($2, 'UTF8'), " +
          rest + ")",
      {id, body});
}

}  // namespace

TEST_CASE("a place tells owner, class, ledger and headers", "[explain]") {
  AuditWorld world;
  world.publish("contact.edge_upserted", {"subject-5097", "subject-2347"});
  world.db.query(
      "INSERT INTO cutover.ownership (worker_id, epoch, stream_id, from_sequence, mode, percent, actor, "
      "reason) "
      "SELECT worker_id, 7, stream_id, 1, 'canary', 1, 'anna', 'a first try' FROM cutover.workers CROSS JOIN "
      "cutover.streams "
      "WHERE worker = 'search-projector' AND stream = 'CONTACT'");
  world.settle("CONTACT", {1});
  const Told told = explain(world, "CONTACT/1");
  INFO(told.document.dump(1));
  CHECK(told.code == 0);
  CHECK(told["class"] == "applied");
  CHECK(told["place"] == json{{"stream", "CONTACT"}, {"incarnation", 1}, {"sequence", 1}});
  CHECK(told["event"]["event_id"] == id_of(1));
  CHECK(told["event"]["bucket"] == 99);
  CHECK(told["owner"]["side"] == "worker");
  CHECK(told["owner"]["mode"] == "canary");
  CHECK(told["owner"]["epoch"] == 7);
  CHECK(told["owner"]["actor"] == "anna");
  REQUIRE(told["settlements"].size() == 1);
  CHECK(told["settlements"][0]["side"] == "worker");
  CHECK(told["settlements"][0]["class"] == "applied");
  CHECK(told["settlements"][0]["this_event"] == true);
  CHECK(told["headers"].dump().find("Cutover-Key") != std::string::npos);
  CHECK_FALSE(told.document.contains("payload"));
  CHECK(explain(world, "CONTACT/1", {"--payload"})["payload"].get<std::string>().find("owner_id") !=
        std::string::npos);

  CHECK(explain(world, "CONTACT/2")["owner"]["side"] == "monolith");
  CHECK_THAT(human(world, "CONTACT/1"), ContainsSubstring("canary 1 % since epoch 7") &&
                                            ContainsSubstring("applied") && ContainsSubstring("bucket 99"));
  const Ended other = world.run({"explain", "search-projector", "SEARCH/1"});
  CHECK(other.code == 3);
  CHECK_THAT(other.err, ContainsSubstring("reads no stream SEARCH"));
}

TEST_CASE("an event id is found in the outbox or in the end of a stream, and the bound is said",
          "[explain]") {
  AuditWorld world;
  world.publish("contact.edge_upserted", kFive);
  world.publish("profile.updated", {"p"});
  const Told profile = explain(world, id_of(6));
  CHECK(profile["found_in"] == "stream");
  CHECK(profile["place"]["stream"] == "CORE");
  CHECK(profile["class"] == "in_flight");
  CHECK(explain(world, id_of(4))["place"]["sequence"] == 4);

  const Told bounded = explain(world, id_of(1), {"--scan", "2"});
  CHECK(bounded.code == 2);
  CHECK(bounded["place"].is_null());
  CHECK(bounded["searched"].dump().find(R"({"from":4,"stream":"CONTACT","to":5})") != std::string::npos);
  CHECK_THAT(bounded["notes"].dump(), ContainsSubstring("CONTACT was searched down to sequence 4 only") &&
                                          ContainsSubstring("--scan 5"));
  CHECK_THAT(world.run({"explain", "search-projector", "no-such-id"}).out,
             ContainsSubstring("was not found"));

  outgoing(world, id_of(1), "{}", "now(), 'CONTACT', 1");
  const Told again = explain(world, id_of(1), {"--scan", "2"});
  CHECK(again["found_in"] == "outbox");
  CHECK(again["outbox"][0]["sequence"] == 1);
}

TEST_CASE("a place that was settled for another event says so", "[explain]") {
  AuditWorld world;
  world.publish("contact.edge_upserted", kFive);
  LedgerSession session(world.db, "search-projector");
  session.work("CONTACT", 1, {ledger_event(4, "lost"), ledger_event(5, "lost, too")});
  CHECK(explain(world, "CONTACT/5")["settlements"][0]["this_event"] == false);
  CHECK_THAT(human(world, "CONTACT/5"), ContainsSubstring("for another event: the broker reused the place"));
  world.db.query("UPDATE cutover.settlements SET event_hashes = NULL");  // as compaction does
  CHECK(explain(world, "CONTACT/5")["settlements"][0]["this_event"].is_null());
  CHECK_THAT(human(world, "CONTACT/5"), ContainsSubstring("at the latest"));
}

TEST_CASE("what an event caused, and who else holds its key, is told", "[explain]") {
  AuditWorld world;
  world.publish("contact.edge_upserted", kFive);
  LedgerSession session(world.db, "search-projector");
  LedgerEvent first = ledger_event(2, "first"), copy = ledger_event(4, "copy");
  first.mark = copy.mark =
      "global\x1f"
      "event 2";
  session.work("CONTACT", 1, {first});
  CHECK(session.work("CONTACT", 1, {copy}) == "d");
  outgoing(world, "caused-1", R"({"causation_id": ")" + id_of(2) + R"("})", "now(), 'SEARCH', 12");
  outgoing(world, "caused-2", R"({"causation_id": ")" + id_of(2) + R"("})", "NULL, NULL, NULL");
  outgoing(world, "no-effect", R"({"about": ")" + id_of(2) + R"("})", "now(), 'SEARCH', 13");
  const Told told = explain(world, id_of(2));
  INFO(told.document.dump(1));
  REQUIRE(told["caused"].size() == 2);
  CHECK(told["caused"][0]["sequence"] == 12);
  CHECK(told["caused"][1]["stream"].is_null());
  REQUIRE(told["same_key"].size() == 1);
  CHECK(told["same_key"][0]["sequence"] == 2);
  CHECK(told["same_key"][0]["found_in"] == "mark");
  CHECK_THAT(human(world, "CONTACT/2"),
             ContainsSubstring("SEARCH/12") && ContainsSubstring("same idempotency key"));
}

TEST_CASE("failures that are not settled yet are told, and a stranded event is exit 1", "[explain]") {
  AuditWorld world;
  world.publish("contact.edge_upserted", kFive);
  world.db.query("SELECT cutover.add_attempt('search-projector', 'CONTACT', 1, 3, false, 'no such table')");
  const Told told = explain(world, "CONTACT/3");
  CHECK(told["class"] == "in_flight");
  CHECK(told["attempts"][0]["attempts"] == 1);
  CHECK_THAT(human(world, "CONTACT/3"), ContainsSubstring("no such table"));

  world.read("search-projector", "contact", "CONTACT", "contact.>", 3);
  const Told stranded = explain(world, "CONTACT/3");
  CHECK(stranded["class"] == "stranded");
  CHECK(stranded.code == 1);
}

TEST_CASE("a dead letter tells its history, also when the stream forgot the event", "[explain]") {
  AuditWorld world;
  Process worker(cutover_command({"run", "search-projector"}), world.environment());
  REQUIRE(worker.wait_for("\"msg\":\"started\"", 20s));
  EventDraft event;
  event.event_name = "contact.edge_upserted";
  event.payload = R"({"contact_id": "none"})";
  event.idempotency_key = "bad";
  world.broker.publish(sending(event, "k"));
  REQUIRE(eventually([&] { return world.db.count("SELECT count(*) FROM cutover.dead_letters") == 1; }));
  REQUIRE(eventually([&] { return world.broker.messages("DLQ") == 1; }));
  REQUIRE(eventually(
      [&] { return world.db.count("SELECT count(*) FROM cutover.outbox WHERE published_at IS NULL") == 0; }));
  world.broker.remove("CONTACT", 1);
  const Told told = explain(world, event.id(), {"--payload"});
  INFO(told.document.dump(1));
  CHECK(told["found_in"] == "dead letters");
  CHECK(told["class"] == "dead_letter");
  REQUIRE(told["dead_letters"].size() == 1);
  CHECK(told["dead_letters"][0]["state"] == "open");
  CHECK(told["dead_letters"][0]["history"].size() == 1);
  CHECK(told["event"]["key"] == "k");
  CHECK(told["payload"] == event.text());
  REQUIRE(told["copies"].size() == 1);
  CHECK(told["copies"][0]["stream"] == "DLQ");
  CHECK_THAT(human(world, event.id()), ContainsSubstring("dead letter 1 of lane contact: open") &&
                                           ContainsSubstring("the stream does not hold it any more"));
}

TEST_CASE("an operator's role may audit, redrive and explain", "[explain]") {
  AuditWorld world;
  world.publish("contact.edge_upserted", kFive);
  world.settle("CONTACT", {1});
  const std::string role = unique_name("explain_test_role_");
  world.db.query("CREATE ROLE " + role + " LOGIN");
  world.db.query("GRANT cutover_operator TO " + role);
  world.db.query(
      "INSERT INTO cutover.outbox (message_id, subject, key, payload, worker_id, published_at, stream, "
      "sequence) "
      "SELECT 'gone', 'search.document_changed', 'k', '{}', worker_id, now(), 'SEARCH', 5 FROM "
      "cutover.workers WHERE worker = "
      "'search-projector'");
  auto environment = world.environment();
  std::string url = world.db.url();
  const auto from = url.find("//") + 2;
  environment["CUTOVER_POSTGRES_URL"] = url.replace(from, url.find('@') - from, role);
  CHECK(run_cutover({"explain", "search-projector", "CONTACT/1"}, environment).code == 0);
  const Ended redriven = run_cutover(
      {"audit", "search-projector", "--redrive", "--reason", "a power cut", "--json"}, environment);
  CHECK(redriven.err == "");
  CHECK(json::parse(redriven.out)["effects"]["redriven"] == 1);
  CHECK(world.db.value("SELECT login || ': ' || command || ', ' || reason FROM cutover.operator_log") ==
        role + ": audit --redrive, a power cut");
  CHECK(world.db.count("SELECT count(*) FROM cutover.outbox WHERE published_at IS NULL") == 1);
  world.db.query("DROP OWNED BY " + role);
  world.db.query("DROP ROLE " + role);
}
