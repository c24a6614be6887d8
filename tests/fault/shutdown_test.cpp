// SIGTERM: finish what runs, hand back what was not begun, leave nothing behind.
#include <catch2/catch_test_macros.hpp>

#include <signal.h>

#include "fault/flow.h"
#include "fixtures/waiting.h"

using namespace cutover;
using namespace cutover::test;
using namespace std::chrono_literals;

namespace {

// Sequences that the ledger knows as settled.
std::int64_t settled(Flow& flow) {
  return flow.db.count("SELECT coalesce(sum(upper(r) - lower(r)), 0) FROM (SELECT unnest(range_agg(sequences)) r FROM cutover.settlements) u");
}

// Sequences that the broker knows as acknowledged.
std::int64_t acknowledged(Flow& flow) {
  const auto info = flow.broker.admin.consumer("FLOW", "flow-worker-main").value();
  return info.at("delivered").at("stream_seq").get<std::int64_t>() - info.at("num_ack_pending").get<std::int64_t>();
}

}  // namespace

TEST_CASE("SIGTERM under load: exit 0 within the limit, and what was committed is acknowledged", "[fault]") {
  Flow flow({.lanes = {"main,FLOW,flow.>,5,512,60000"}});  // only a negative ack brings an event back within this test
  flow.publish(40'000, 0, 1);
  flow.start_worker();
  for (std::int64_t point : {3'000, 12'000, 25'000}) {
    REQUIRE(eventually([&] { return flow.effects() > point; }, 60s, 2ms));
    REQUIRE(flow.worker(0).running());
    flow.worker(0).signal(SIGTERM);
    REQUIRE(flow.worker(0).wait(35s) == 0);
    CHECK(flow.effects() < 40'000);
    // The proof that no committed event is delivered again: everything settled is acknowledged, and nothing else is.
    CHECK(settled(flow) == flow.effects());
    CHECK(acknowledged(flow) == settled(flow));
    CHECK(flow.db.count("SELECT count(*) FROM cutover.instances WHERE stopped_at IS NULL") == 0);
    CHECK(flow.db.count("SELECT count(*) FROM cutover.started") == 0);
    flow.replace_worker(0);
  }
  REQUIRE(eventually([&] { return flow.effects() >= 40'000; }, 60s));
  REQUIRE(eventually([&] { return flow.quiet(); }, 30s));
  CHECK(flow.effects() == 40'000);
}

TEST_CASE("SIGTERM waits for a running handler, and only for it", "[fault]") {
  Flow flow({.lanes = {"main,FLOW,flow.>,5,1,60000"}, .concurrency = 1});
  for (int i = 0; i < 5; ++i) flow.publish_one("slow " + std::to_string(i), R"({"do":"sleep","ms":1500})");
  flow.start_worker();
  REQUIRE(eventually([&] { return flow.effects() == 1; }));
  flow.worker(0).signal(SIGTERM);
  CHECK(flow.worker(0).wait(20s) == 0);
  CHECK(flow.effects() == 2);
  CHECK(acknowledged(flow) == 2);
}

TEST_CASE("a handler that outlasts the drain limit is cut off, and its event comes again", "[fault]") {
  Flow flow({.lanes = {"main,FLOW,flow.>,5,8,1000"}, .concurrency = 1, .settings = {{"CUTOVER_RUN_DRAIN_TIMEOUT", "1s"}}});
  flow.publish_one("too slow", R"({"do":"sleep","ms":60000,"until":1})");
  flow.start_worker();
  // The handler runs once its batch has claimed: its transaction is open.
  REQUIRE(eventually([&] { return flow.db.count("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND application_name LIKE 'cutover flow-worker%'") == 1; }));
  flow.worker(0).signal(SIGTERM);
  CHECK(flow.worker(0).wait(20s) == 3);
  CHECK(flow.effects() == 0);
  CHECK(flow.db.count("SELECT count(*) FROM cutover.settlements") == 0);
}

TEST_CASE("a second SIGTERM ends the process at once", "[fault]") {
  Flow flow({.lanes = {"main,FLOW,flow.>,5,8,60000"}, .concurrency = 1});
  flow.publish_one("slow", R"({"do":"sleep","ms":60000})");
  flow.start_worker();
  REQUIRE(eventually([&] { return flow.db.count("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND application_name LIKE 'cutover flow-worker%'") == 1; }));
  flow.worker(0).signal(SIGTERM);
  REQUIRE(eventually([&] { return flow.log_tail(0).find("draining") != std::string::npos; }));
  flow.worker(0).signal(SIGTERM);
  CHECK(flow.worker(0).wait(5s) == 130);
}

TEST_CASE("SIGTERM while a server is away: exit 0, for nothing is lost", "[fault]") {
  Flow flow;
  flow.publish(20'000, 0, 1);
  flow.start_worker();
  REQUIRE(eventually([&] { return flow.effects() > 2'000; }));
  SECTION("PostgreSQL") {
    flow.servers.command("stop-postgres", {"--immediate"});
    REQUIRE(eventually([&] { return flow.log_tail(0).find("a dependency is away") != std::string::npos; }));
    flow.worker(0).signal(SIGTERM);
    CHECK(flow.worker(0).wait(35s) == 0);
    flow.servers.command("start-postgres");
  }
  SECTION("the broker") {
    flow.servers.command("stop-nats");
    flow.worker(0).signal(SIGTERM);
    CHECK(flow.worker(0).wait(35s) == 0);
    flow.servers.command("start-nats");
  }
  REQUIRE(flow.broker.connection.wait_connected(std::chrono::steady_clock::now() + 20s));
  flow.replace_worker(0);
  REQUIRE(eventually([&] { return flow.effects() >= 20'000; }, 60s));
  REQUIRE(eventually([&] { return flow.quiet(); }, 60s));
  CHECK(flow.effects() == 20'000);
  CHECK(flow.db.count("SELECT count(*) FROM cutover.attempts WHERE attempts > 0") == 0);
}
