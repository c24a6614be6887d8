// A handler that kills its process: the event ends as a dead letter, the lane goes on.
#include <catch2/catch_test_macros.hpp>

#include <nlohmann/json.hpp>

#include "fault/flow.h"
#include "fixtures/waiting.h"

using namespace cutover;
using namespace cutover::test;
using namespace std::chrono_literals;

TEST_CASE("a handler that kills the process is a crash suspect after three lone deaths, and the lane goes on", "[fault]") {
  Flow flow({.lanes = {"main,FLOW,flow.>,5,64,1000"}, .concurrency = 1});
  flow.publish(100, 0, 1);
  flow.publish_one("killer", R"({"do":"crash"})");
  for (int i = 0; i < 100; ++i) flow.publish_one("after " + std::to_string(i), "{}");
  const std::size_t worker = flow.start_worker();
  int deaths = 0;
  const bool over = eventually([&] {
    // As a supervisor does.
    if (!flow.worker(worker).running()) {
      ++deaths;
      flow.replace_worker(worker);
    }
    return deaths > 12 || flow.db.count("SELECT count(*) FROM cutover.dead_letters") > 0;
  }, 120s, 10ms);
  REQUIRE(over);
  CHECK(flow.db.value("SELECT kind || ' ' || lone_crashes FROM (SELECT kind, (regexp_match(error, 'died (\\d+) times'))[1] AS lone_crashes "
                      "FROM cutover.dead_letters) d") == "crash_suspect 3");
  CHECK(deaths == 5);  // one that nobody knew of, one in a batch that was noted, three alone
  REQUIRE(eventually([&] { return flow.quiet(); }, 60s));
  CHECK(flow.effects() == 200);
  CHECK(flow.db.count("SELECT count(DISTINCT idempotency_key) FROM effects") == 200);
  CHECK(flow.db.count("SELECT count(*) FROM cutover.attempts") == 0);
  CHECK(flow.db.count("SELECT count(*) FROM cutover.started") == 0);

  // The letter has its message, and later events pay nothing.
  CHECK(eventually([&] { return flow.broker.last("DLQ", "dlq.flow-worker.main").has_value(); }));
  flow.publish_one("last", "{}");
  CHECK(eventually([&] { return flow.effects() == 201; }));
  CHECK(flow.ended_workers() == "");
}

TEST_CASE("a process that is killed while it is idle or between batches makes nobody a suspect", "[fault]") {
  Flow flow({.lanes = {"main,FLOW,flow.>,5,64,1000"}, .concurrency = 1});
  const std::size_t worker = flow.start_worker();
  for (int round = 0; round < 4; ++round) {
    // One event at a time, so that each redelivery would be alone.
    flow.publish_one("event " + std::to_string(round), "{}");
    REQUIRE(eventually([&] { return flow.effects() == round + 1; }));
    flow.replace_worker(worker);
  }
  REQUIRE(eventually([&] { return flow.quiet(); }, 60s));
  CHECK(flow.effects() == 4);
  CHECK(flow.db.count("SELECT count(*) FROM cutover.attempts WHERE lone_crashes > 1") == 0);
  CHECK(flow.db.count("SELECT count(*) FROM cutover.dead_letters") == 0);
}
