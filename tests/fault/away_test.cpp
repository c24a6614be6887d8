// PostgreSQL or the broker away for a while: nothing is counted against any event, nobody spins, and work goes on after.
#include <catch2/catch_test_macros.hpp>

#include <iostream>

#include <signal.h>

#include "fault/flow.h"
#include "fixtures/waiting.h"

using namespace cutover;
using namespace cutover::test;
using namespace std::chrono_literals;

namespace {

using Milliseconds = std::chrono::milliseconds;

Milliseconds since(std::chrono::steady_clock::time_point then) {
  return std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - then);
}

// Lets `time` pass while the worker runs; false when it ended. Returns its share of a processor in `percent`.
bool spend(Flow& flow, Milliseconds time, double& percent) {
  const Milliseconds before = flow.worker(0).cpu();
  const auto began = std::chrono::steady_clock::now();
  const bool ended = eventually([&] { return !flow.worker(0).running(); }, time, 100ms);
  percent = 100.0 * static_cast<double>((flow.worker(0).cpu() - before).count()) / static_cast<double>(since(began).count());
  return !ended;
}

// Waits until `count` more effects exist; prints how long it took and the rate of the rest.
void await_return(Flow& flow, const char* what, std::int64_t before, std::int64_t unique) {
  const auto back = std::chrono::steady_clock::now();
  REQUIRE(eventually([&] { return flow.effects() > before; }, 60s, 5ms));
  const Milliseconds first = since(back);
  const std::int64_t from = flow.effects();
  const auto going = std::chrono::steady_clock::now();
  REQUIRE(eventually([&] { return flow.effects() >= unique; }, 120s, 5ms));
  const double seconds = std::max(0.001, static_cast<double>(since(going).count()) / 1000);
  std::cout << what << ": first event " << first.count() << " ms after the return, then " << (unique - from) / seconds << " events/s\n";
}

void check_nothing_counted(Flow& flow, std::int64_t unique) {
  REQUIRE(eventually([&] { return flow.quiet(); }, 60s));
  CHECK(flow.effects() == unique);
  CHECK(flow.db.count("SELECT count(DISTINCT idempotency_key) FROM effects") == unique);
  CHECK(flow.db.count("SELECT count(*) FROM cutover.attempts WHERE attempts > 0") == 0);
  CHECK(flow.db.count("SELECT count(*) FROM cutover.dead_letters") == 0);
  CHECK(flow.read_out().keys.size() == static_cast<std::size_t>(unique));
  CHECK(flow.ended_workers() == "");
  flow.worker(0).signal(SIGTERM);
  CHECK(flow.worker(0).wait(40s) == 0);
}

const Milliseconds kAway = long_form() ? 60s : 5s;
const std::int64_t kEvents = long_form() ? 60'000 : 15'000;

}  // namespace

TEST_CASE("PostgreSQL away: no attempt, no dead letter, no busy loop, and full speed after", "[fault]") {
  Flow flow;
  flow.publish(static_cast<std::size_t>(kEvents), 0, 1);
  flow.start_worker();
  REQUIRE(eventually([&] { return flow.effects() > 2'000; }));
  flow.servers.command("stop-postgres", {"--immediate"});
  double percent = 100;
  const bool alive = spend(flow, kAway, percent);
  flow.servers.command("start-postgres");
  REQUIRE(alive);
  CHECK(percent < 5);
  std::cout << "PostgreSQL away " << kAway.count() << " ms: " << percent << " % of a processor\n";
  await_return(flow, "PostgreSQL", flow.effects(), kEvents);
  check_nothing_counted(flow, kEvents);
}

TEST_CASE("the broker away: no attempt, no dead letter, no busy loop, and full speed after", "[fault]") {
  Flow flow;
  flow.publish(static_cast<std::size_t>(kEvents), 0, 1);
  flow.start_worker();
  REQUIRE(eventually([&] { return flow.effects() > 2'000; }));
  flow.servers.command("stop-nats");
  // It works off what it has fetched, then waits.
  std::int64_t seen = -1;
  REQUIRE(eventually([&] { return std::exchange(seen, flow.effects()) == flow.effects(); }, 30s, 500ms));
  double percent = 100;
  const bool alive = spend(flow, kAway, percent);
  const std::int64_t before = flow.effects();
  flow.servers.command("start-nats");
  REQUIRE(alive);
  CHECK(percent < 5);
  std::cout << "the broker away " << kAway.count() << " ms: " << percent << " % of a processor\n";
  await_return(flow, "the broker", before, kEvents);
  REQUIRE(flow.broker.connection.wait_connected(std::chrono::steady_clock::now() + 20s));
  check_nothing_counted(flow, kEvents);
}

TEST_CASE("a database that becomes read-only pauses the lanes until it can be written again", "[fault]") {
  Flow flow;
  flow.publish(2'000, 0, 1);
  const std::string name = flow.db.value("SELECT current_database()");
  flow.db.query("ALTER DATABASE " + name + " SET default_transaction_read_only = on");
  flow.start_worker();
  REQUIRE(eventually([&] { return flow.log_tail(0).find("read-only") != std::string::npos || !flow.worker(0).running(); }));
  CHECK(flow.effects() == 0);
  flow.db.query("SET default_transaction_read_only = off");
  flow.db.query("ALTER DATABASE " + name + " SET default_transaction_read_only = off");
  flow.db.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'cutover %' "
      "AND datname = current_database() AND pid <> pg_backend_pid()");
  if (!flow.worker(0).running()) flow.replace_worker(0);  // it may refuse to start against such a database
  REQUIRE(eventually([&] { return flow.effects() >= 2'000; }, 60s));
  check_nothing_counted(flow, 2'000);
}
