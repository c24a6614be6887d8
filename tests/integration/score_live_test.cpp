// The worker with everything real: broker, claims, relay, other processes, hand-overs.
#include <csignal>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "fixtures/test_broker.h"
#include "fixtures/waiting.h"
#include "integration/ownership_world.h"
#include "integration/score_servers.h"

using namespace cutover::test;
using Catch::Matchers::ContainsSubstring;

namespace {

const std::string kEverybody = R"({"scope":"all","principal_ids":[],"reason":"test"})";

bool worked_off(const ScoreServers& servers) {
  TestBroker broker(servers.nats.url());
  return eventually([&] { return broker.consumer("GRAPH", "score-orchestrator-request").idle(); });
}

bool published(ScoreServers& servers, int runs) {
  return eventually([&] {
    return servers.database.count("SELECT count(*) FROM serving.score_runs WHERE state = 'published'") ==
           runs;
  });
}

}  // namespace

TEST_CASE("while a batch works its request is settled, readers see the run before, and incrementals go on",
          "[score]") {
  ScoreServers servers;
  const auto worker = servers.start_worker();
  servers.compute("2026-06-01T02:00:00Z");
  StandstillAtStaging standstill(servers.database);
  servers.request(kEverybody, "2026-06-02T02:00:00Z");
  REQUIRE(standstill.reached());
  CHECK(worked_off(servers));
  CHECK(servers.database.count("SELECT count(*) FROM serving.scores WHERE run_id = 1") == 40);

  servers.request(R"({"scope":"principals","principal_ids":[7],"reason":"test"})", "2026-06-03T02:00:00Z");
  REQUIRE(
      eventually([&] { return servers.database.count("SELECT count(*) FROM serving.score_updates") > 0; }));
  // 7, those that it knows and those that know it
  CHECK(servers.database.value(
            "SELECT string_agg(principal_id::text, ' ' ORDER BY principal_id) FROM serving.score_updates") ==
        "4 5 6 7 8 9 10");
  CHECK(servers.database.value("SELECT state FROM serving.score_runs WHERE run_id = 2") == "running");

  standstill.end();
  REQUIRE(published(servers, 2));
  CHECK(servers.database.count(
            "SELECT count(*) FROM serving.scores WHERE run_id = 2 AND as_of = '2026-06-02 02:00+00'") == 33);
  CHECK(servers.database.count(
            "SELECT count(*) FROM serving.scores WHERE run_id IS NULL AND as_of = '2026-06-03 02:00+00'") ==
        7);
  CHECK(eventually([&] { return servers.sent("SCORE", "score.incremental_computed") == 1; }));
}

TEST_CASE("a run whose process is killed is taken up by another one with the same t, and published once",
          "[score][fault]") {
  ScoreServers servers;
  auto first = servers.start_worker();
  servers.compute("2026-06-01T02:00:00Z");
  StandstillAtStaging standstill(servers.database);
  servers.request(kEverybody, "2026-06-02T02:00:00Z");
  REQUIRE(standstill.reached());
  const auto second = servers.start_worker();
  first->signal(SIGKILL);
  first->wait();
  standstill.end();
  REQUIRE(published(servers, 2));
  CHECK(servers.database.value("SELECT attempt || ' ' || (as_of = '2026-06-02 02:00+00') || ' ' || "
                               "became_current FROM serving.score_runs "
                               "WHERE run_id = 2") == "2 true true");
  CHECK(servers.database.count("SELECT count(*) FROM serving.scores WHERE run_id = 2") == 40);
  REQUIRE(eventually([&] {
    return servers.database.count(
               "SELECT count(*) FROM cutover.outbox WHERE published_at IS NULL AND available_at IS NULL") ==
           0;
  }));
  CHECK(servers.sent("SCORE", "score.snapshot_published") == 2);
}

TEST_CASE("SIGTERM ends a run between its rows, and the next process works it off", "[score]") {
  ScoreServers servers;
  auto first = servers.start_worker();
  StandstillAtStaging standstill(servers.database);
  servers.request(kEverybody, "2026-06-02T02:00:00Z");
  REQUIRE(standstill.reached());
  first->signal(SIGTERM);
  standstill.end();
  CHECK(first->wait().code == 0);
  const auto second = servers.start_worker();
  REQUIRE(published(servers, 1));
  CHECK(servers.database.count("SELECT count(*) FROM serving.scores WHERE as_of = '2026-06-02 02:00+00'") ==
        40);
}

TEST_CASE(
    "a hand-over does not wait for a batch; what was asked before it is published, what comes after is not "
    "the worker's",
    "[score]") {
  ScoreServers servers;
  append_segments(servers, "score-orchestrator", {"GRAPH"}, "worker");
  const auto worker = servers.start_worker();
  servers.compute("2026-06-01T02:00:00Z");
  StandstillAtStaging standstill(servers.database);
  servers.request(kEverybody, "2026-06-02T02:00:00Z");
  REQUIRE(standstill.reached());
  const auto reversed = servers.ask({"reverse", "score-orchestrator", "--seize", "--reason", "a test"});
  INFO(reversed.dump(1));
  CHECK(reversed["code"] == 0);
  CHECK(reversed["after"] == "monolith");
  CHECK(servers.database.value("SELECT state FROM serving.score_runs WHERE run_id = 2") == "running");
  servers.request(kEverybody, "2026-06-03T02:00:00Z");
  CHECK(worked_off(servers));
  standstill.end();
  REQUIRE(published(servers, 2));
  CHECK(servers.database.count("SELECT count(*) FROM serving.scores WHERE run_id = 2") == 40);
  CHECK(servers.database.count("SELECT count(*) FROM serving.score_runs") == 2);
}

TEST_CASE("a batch is asked for every day at 02:00 UTC, once, as of that moment", "[score]") {
  ScoreServers servers;
  const auto first = servers.start_worker(), second = servers.start_worker();
  const std::string armed =
      "SELECT count(*) FROM cutover.outbox WHERE schedule = '0 2 * * *' AND published_at IS NULL AND "
      "available_at > now() "
      "AND (available_at AT TIME ZONE 'UTC')::time = '02:00'";
  CHECK(servers.database.count(armed) == 1);
  const std::string due =
      servers.database.value("SELECT available_at::text FROM cutover.outbox WHERE schedule IS NOT NULL");
  CHECK(servers.database.count("SELECT count(*) FROM cutover.outbox WHERE convert_from(payload, "
                               "'UTF8')::jsonb ->> 'idempotency_key' = "
                               "'daily:' || to_char(available_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')") == 1);
  servers.execute({"UPDATE cutover.outbox SET available_at = now() WHERE schedule IS NOT NULL",
                   "SELECT pg_notify('cutover_outbox', '')"});
  REQUIRE(published(servers, 1));
  CHECK(servers.database.count("SELECT count(*) FROM serving.scores WHERE as_of = $1::timestamptz", {due}) ==
        40);
  CHECK(eventually([&] { return servers.database.count(armed) == 1; }));
  CHECK(servers.sent("GRAPH", "score.recompute_requested") == 1);
}

TEST_CASE("what is no request becomes a dead letter that says why, and the next request is worked on",
          "[score]") {
  ScoreServers servers;
  servers.execute({"UPDATE app.contacts SET confidence = 'NaN' WHERE contact_id = 73"});
  const auto worker = servers.start_worker();
  for (const char* payload :
       {R"({"reason":"no scope"})", R"({"scope":"some"})", R"({"scope":"principals"})",
        R"({"scope":"principals","principal_ids":["x"]})", R"({"scope":"principals","principal_ids":[7]})"})
    servers.request(payload, "2026-06-01T02:00:00Z");
  servers.request(R"({"scope":"principals","principal_ids":[20, 4711]})", "2026-06-01T02:00:00Z");
  REQUIRE(
      eventually([&] { return servers.database.count("SELECT count(*) FROM cutover.dead_letters") == 5; }));
  const std::string errors =
      servers.database.value("SELECT string_agg(error, '; ' ORDER BY sequence) FROM cutover.dead_letters");
  CHECK_THAT(errors, ContainsSubstring("scope is missing") &&
                         ContainsSubstring("scope is neither all nor principals") &&
                         ContainsSubstring("principal_ids is missing or no array") &&
                         ContainsSubstring("something that is no id") &&
                         ContainsSubstring("contact_id 73 of owner_id 7 has confidence nan"));
  CHECK(worked_off(servers));
  CHECK(servers.database.value("SELECT string_agg(principal_id || ' ' || gone, ', ' ORDER BY principal_id) "
                               "FROM serving.score_updates") ==
        "17 false, 18 false, 19 false, 20 false, 21 false, 22 false, 23 false, 4711 true");
}
