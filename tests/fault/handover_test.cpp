// Single situations of a hand-over, with both sides as processes: the producer's duplicates, a dead worker's
// backlog, a stream that was made anew.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <iostream>
#include <map>

#include "fault/applied.h"
#include "fault/flow.h"
#include "fault/two_sides.h"
#include "fixtures/waiting.h"

using namespace cutover;
using namespace cutover::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

// One event for each of `count` subjects, of this version.
std::vector<SentEvent> events(int count, std::int64_t version, bool copy = false) {
  std::vector<SentEvent> all;
  for (int i = 0; i < count; ++i) all.push_back({"s" + std::to_string(i), version, copy, {}});
  return all;
}

// Publishes, and appends to what was sent.
void send(TwoSides& sides, const std::vector<SentEvent>& events, std::vector<SentEvent>& sent) {
  std::vector<Sending> messages;
  for (const SentEvent& event : events) messages.push_back(message_of(event, TwoSides::kEvent));
  sides.broker.publish(messages);
  sent.insert(sent.end(), events.begin(), events.end());
}

// The monolith has acknowledged everything, and nothing waits in the outbox.
bool passed_on(TwoSides& sides) {
  return sides.broker.consumer(TwoSides::kStream, "monolith-" + TwoSides::kWorker + "-main").idle() &&
         sides.db.count("SELECT count(*) FROM cutover.outbox WHERE published_at IS NULL") == 0;
}

// The worker was killed, and what it owns waits. While the command runs, and after it, events go on to come.
void seize_backlog(bool ordered, int keys, int versions) {
  TwoSides sides({.ordered = ordered});
  std::vector<SentEvent> sent;
  sides.flip(Mode::monolith);
  send(sides, events(keys, 1), sent);
  sides.start_monolith();
  sides.start_relay();
  REQUIRE(eventually([&] { return sides.effects() == keys && passed_on(sides); }, 120s));
  sides.flip(Mode::worker);
  sides.start_worker();
  send(sides, events(keys, 2), sent);
  REQUIRE(eventually([&] { return sides.effects("side = 'worker'") > keys / 4; }));
  sides.kill_worker();
  // A batch that it had sent whole still commits.
  REQUIRE(eventually([&] {
    return sides.db.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                          "application_name LIKE 'cutover search-projector %'") == 0;
  }));
  for (int version = 3; version < 3 + versions; ++version) {
    send(sides, events(keys, version), sent);
    send(sides, events(keys / 20, version, true), sent);
  }
  const std::int64_t by_worker = sides.effects("side = 'worker'");
  const std::int64_t wanted = static_cast<std::int64_t>(keys) * (2 + versions);
  REQUIRE(eventually([&] { return passed_on(sides); }, 120s));

  const auto began = std::chrono::steady_clock::now();
  Program reverse(
      {CUTOVER_PROGRAM, "reverse", TwoSides::kWorker, "--seize", "--reason", "the worker is dead", "--json"},
      sides.environment(), sides.servers.directory() + "/reverse.log");
  REQUIRE(eventually([&] { return sides.effects("side = 'monolith' AND version > 1") > 0; }, 60s, 5ms));
  const std::chrono::duration<double> first = std::chrono::steady_clock::now() - began;
  CHECK(reverse.wait(60s) == 0);
  INFO(sides.log("reverse"));
  // These are the monolith's, and ahead of what was seized: the copies of that come behind them in the
  // stream.
  send(sides, events(keys, 3 + versions), sent);
  REQUIRE(eventually([&] { return sides.effects() >= wanted + keys; }, 600s, 50ms));
  const std::chrono::duration<double> all = std::chrono::steady_clock::now() - began;
  REQUIRE(eventually([&] { return passed_on(sides); }, 60s));
  std::cout << "seized " << wanted - keys - by_worker << " events" << (ordered ? ", ordered" : "")
            << ": the monolith applied the first " << first.count() << " s after the command, all "
            << all.count() << " s after it\n";
  CHECK(sides.ended() == "");
  CHECK(sides.effects("side = 'worker'") == by_worker);
  CHECK(sides.effects() == wanted + keys);
  CHECK(sides.db.count("SELECT count(DISTINCT idempotency_key) FROM effects") == wanted + keys);
  CHECK(sides.db.count("SELECT count(*) FROM cutover.dead_letters") == 0);
  if (ordered)
    CHECK(sides.db.count("SELECT count(*) FROM (SELECT version, row_number() OVER (PARTITION BY key ORDER BY "
                         "serial) AS place FROM effects) e "
                         "WHERE version <> place") == 0);

  // A worker that comes back finds its events settled.
  sides.start_worker();
  REQUIRE(eventually(
      [&] {
        return sides.db.count("SELECT count(*) FROM cutover.instances WHERE side = 'worker' AND ready") > 0 &&
               sides.quiet();
      },
      120s));
  CHECK(sides.ended() == "");
  CHECK(sides.effects("side = 'worker'") == by_worker);
  CHECK(sides.effects() == wanted + keys);
  CHECK(sides.outgoing().size() == static_cast<std::size_t>(wanted + keys));
  const std::string audit = sides.command({"audit", TwoSides::kWorker, "--json"});
  INFO(audit);
  CHECK(audit.substr(0, 2) == "0 ");
}

}  // namespace

TEST_CASE("a producer's duplicate on both sides of a boundary is applied once", "[fault]") {
  TwoSides sides;
  std::vector<SentEvent> sent;
  sides.flip(Mode::monolith);
  send(sides, events(300, 1), sent);
  sides.flip(Mode::worker);
  send(sides, events(300, 1, true), sent);
  send(sides, events(300, 2), sent);
  sides.flip(Mode::canary, 3'333);
  send(sides, events(300, 2, true), sent);
  // Both find the first and the second copies waiting, and race.
  sides.start_worker();
  sides.start_monolith();
  REQUIRE(eventually([&] { return sides.effects() >= 600 && sides.quiet(); }, 60s));
  CHECK(sides.ended() == "");
  CHECK(faults(sides.db, TwoSides::kWorker, sent, false) == std::vector<std::string>());
  CHECK(sides.effects() == 600);
  CHECK(sides.outgoing().size() == 600);
}

TEST_CASE("a dead worker's backlog is seized: the monolith applies it within seconds, once", "[fault]") {
  seize_backlog(false, 1'000, long_form() ? 100 : 5);
}

TEST_CASE("a dead worker's backlog is seized in order: versions that came later wait for it", "[fault]") {
  seize_backlog(true, 1'000, long_form() ? 20 : 4);
}

TEST_CASE("a stream that was deleted and made anew stops both sides, and they say why", "[fault]") {
  TwoSides sides;
  std::vector<SentEvent> sent;
  sides.flip(Mode::canary, 5'000);
  sides.start_worker();
  sides.start_monolith();
  send(sides, events(200, 1), sent);
  REQUIRE(eventually([&] { return sides.effects() == 200 && sides.quiet(); }));

  sides.broker.admin.delete_stream(TwoSides::kStream);
  sides.broker.admin.create_stream(
      {{"name", TwoSides::kStream}, {"subjects", {"contact.>"}}, {"storage", "file"}, {"num_replicas", 1}});
  send(sides, events(200, 2), sent);
  const std::string why = "stream CONTACT was deleted and created anew";
  REQUIRE(eventually([&] { return !sides.monolith->running(); }, 60s));
  CHECK(sides.monolith->wait(0s) == 1);
  CHECK_THAT(sides.log("monolith"), ContainsSubstring(why));
  REQUIRE(eventually(
      [&] {
        return sides.log("worker").find("created again") != std::string::npos || !sides.worker->running();
      },
      60s));
  INFO(sides.log("worker"));
  CHECK(sides.worker->running());
  CHECK(eventually([&] {
    return sides.db.count("SELECT count(*) FROM cutover.instances WHERE ready AND side = 'worker'") == 0;
  }));
  CHECK(sides.effects() == 200);

  // Nor does a new process of either side begin.
  sides.start_worker();
  CHECK(sides.worker->wait(30s) == 3);
  CHECK_THAT(sides.log("worker"), ContainsSubstring(why));
  sides.start_monolith();
  CHECK(sides.monolith->wait(30s) == 1);
  CHECK_THROWS_WITH(sides.flip(Mode::worker), ContainsSubstring(why));
  CHECK(sides.effects() == 200);
  CHECK(sides.broker.admin.consumers(TwoSides::kStream).empty());
  CHECK(sides.db.count("SELECT max(incarnation) FROM cutover.streams WHERE stream = 'CONTACT'") == 1);

  // An operator declares its new life: both go on, and each applies its share.
  const std::string declared =
      sides.command({"incarnation", "start", TwoSides::kStream, "--reason", "it was lost"});
  INFO(declared);
  REQUIRE(declared.substr(0, 2) == "0 ");
  sides.start_worker();
  sides.start_monolith();
  REQUIRE(eventually([&] { return sides.effects() == 400 && sides.quiet(); }, 60s));
  CHECK(sides.ended() == "");
  CHECK(sides.db.count("SELECT count(*) FROM effects WHERE version = 2 AND (side = 'worker') <> "
                       "(cutover.bucket(key) < 5000)") == 0);
}
