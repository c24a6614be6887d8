// Exactly once under violence: workers are killed, the broker and PostgreSQL are restarted, and in the end every effect
// and every outgoing event exists once.
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <random>
#include <set>
#include <thread>

#include <signal.h>

#include "fault/flow.h"
#include "fixtures/waiting.h"

using namespace cutover;
using namespace cutover::test;
using namespace std::chrono_literals;

namespace {

unsigned chosen_seed() {
  const char* text = std::getenv("CUTOVER_TEST_SEED");
  return text ? static_cast<unsigned>(std::stoul(text)) : 1;
}

std::size_t distinct(const std::vector<std::string>& all) { return std::set<std::string>(all.begin(), all.end()).size(); }

}  // namespace

TEST_CASE("exactly_once: nothing is lost and nothing happens twice, whatever is killed or restarted", "[fault]") {
  enum class Blow { worker, broker_restart, broker_kill, postgres };
  const unsigned seed = chosen_seed();
  CAPTURE(seed);
  const std::size_t unique = long_form() ? 190'500 : 19'000;  // about 200,000 and 20,000 with the copies
  const int kills = long_form() ? 24 : 5, restarts = long_form() ? 3 : 1;
  std::mt19937 random(seed);

  Flow flow;
  const std::size_t published = flow.publish(unique, 0.05, seed);
  CHECK(flow.broker.messages("FLOW") == published);

  // Blows fall at points of progress, in random order, so that each one meets work in flight.
  std::vector<Blow> blows(static_cast<std::size_t>(kills), Blow::worker);
  for (int i = 0; i < restarts; ++i) {
    blows.push_back((static_cast<unsigned>(i) + seed) % 2 == 0 ? Blow::broker_restart : Blow::broker_kill);
    blows.push_back(Blow::postgres);
  }
  std::shuffle(blows.begin(), blows.end(), random);
  std::vector<std::int64_t> points;
  for (std::size_t i = 0; i < blows.size(); ++i) points.push_back(static_cast<std::int64_t>(random() % unique));
  std::sort(points.begin(), points.end());

  const auto began = std::chrono::steady_clock::now();
  flow.start_worker();
  flow.start_worker();
  for (std::size_t i = 0; i < blows.size(); ++i) {
    CAPTURE(i, points[i]);
    REQUIRE(eventually([&] { return flow.effects() >= points[i]; }, 120s, 3ms));
    REQUIRE(flow.ended_workers() == "");
    switch (blows[i]) {
      case Blow::worker: flow.replace_worker(random() % 2); break;
      case Blow::broker_restart: flow.servers.command("restart-nats"); break;
      case Blow::broker_kill:
        flow.servers.command("kill-nats");
        flow.servers.command("start-nats");
        break;
      case Blow::postgres: flow.servers.command("restart-postgres", {"--immediate"}); break;
    }
  }
  REQUIRE(eventually([&] { return flow.effects() >= static_cast<std::int64_t>(unique); }, 120s, 20ms));
  REQUIRE(flow.broker.connection.wait_connected(std::chrono::steady_clock::now() + 20s));
  // The prefetched messages of killed workers come again after their ack_wait.
  CHECK(eventually([&] { return flow.quiet(); }, 60s, 50ms));
  const std::string ended = flow.ended_workers();
  CHECK(ended == "");
  for (std::size_t i : {0, 1}) {
    flow.worker(i).signal(SIGTERM);
    CHECK(flow.worker(i).wait(40s) == 0);
  }
  const auto took = std::chrono::steady_clock::now() - began;

  const std::int64_t wanted = static_cast<std::int64_t>(unique);
  CHECK(flow.effects() == wanted);
  CHECK(flow.db.count("SELECT count(DISTINCT idempotency_key) FROM effects") == wanted);
  CHECK(flow.db.count("SELECT count(*) FROM cutover.outbox WHERE event_id IS NOT NULL") == wanted);
  CHECK(flow.db.count("SELECT count(*) FROM cutover.dead_letters") == 0);
  CHECK(flow.db.count("SELECT count(*) FROM cutover.attempts WHERE attempts > 0") == 0);
  flow.db.query("SELECT cutover.forget_settled('0 s')");  // what a killed process noted about events that another one settled
  CHECK(flow.db.count("SELECT count(*) FROM cutover.attempts") == 0);
  CHECK(flow.db.count("SELECT count(*) FROM cutover.started") == 0);
  // Every sequence is settled, and as many are applied as there are keys.
  const std::string covered = "SELECT coalesce(sum(upper(r) - lower(r)), 0) FROM (SELECT unnest(range_agg(sequences)) r FROM cutover.settlements ";
  CHECK(flow.db.count(covered + ") u") == static_cast<std::int64_t>(published));
  CHECK(flow.db.count(covered + "WHERE class = 'a') u") == wanted);

  const Flow::Out out = flow.read_out();
  CHECK(out.keys.size() == unique);
  CHECK(distinct(out.keys) == unique);
  CHECK(distinct(out.ids) == unique);

  const TestBroker::ConsumerState consumer = flow.broker.consumer("FLOW", "flow-worker-main");
  CHECK(consumer.ack_pending == 0);
  CHECK(consumer.pending == 0);
  std::cout << "exactly_once: seed " << seed << ", " << published << " events, " << unique << " keys, " << kills << " kills, " << restarts
            << " + " << restarts << " restarts, " << consumer.delivered << " deliveries, "
            << std::chrono::duration_cast<std::chrono::milliseconds>(took).count() << " ms\n";
}
