// reverse --seize: what waits for a dead worker becomes the monolith's.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "fixtures/ledger_session.h"
#include "fixtures/waiting.h"
#include "integration/ownership_world.h"

using namespace cutover;
using namespace cutover::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

namespace {

const std::vector<std::string> kSeize = {"reverse", "search-projector", "--seize"};

std::string classes(OwnershipWorld& world) {
  return world.database.value(
      "SELECT string_agg(class::text || ' ' || sequences::text, ', ' ORDER BY lower(span)) FROM "
      "cutover.settlements "
      "WHERE side <> 's'");
}

}  // namespace

TEST_CASE("what waits for a dead worker is handed back: settled as seized, copied for the monolith",
          "[cli]") {
  OwnershipWorld world;
  world.publish_contacts(1, 2);  // before the worker's time
  world.stand_at("worker");
  world.publish_contacts(3, 6);
  LedgerSession worker(world.database, "search-projector");
  worker.work("CONTACT", 1, {ledger_event(4), ledger_event(6)});

  const json done = world.change(kSeize);
  INFO(done.dump(1));
  CHECK(done["code"] == 0);
  CHECK(done["seized"] == 4);
  CHECK(classes(world) == "z {[3,4),[5,6),[7,9)}, a {[4,5),[6,7)}");
  CHECK(world.database.value(
            "SELECT string_agg(message_id || ' ' || key, ', ' ORDER BY outbox_id) FROM cutover.outbox") ==
        "seize:search-projector:2:CONTACT:3 3, seize:search-projector:2:CONTACT:5 5, "
        "seize:search-projector:2:CONTACT:7 7, "
        "seize:search-projector:2:CONTACT:8 8");

  Process relay(cutover_command({"relay"}), world.environment());
  REQUIRE(relay.wait_for("\"msg\":\"started\"", 20s));
  TestBroker broker(world.nats.url());
  REQUIRE(eventually([&] { return broker.last_sequence("CONTACT") == 12; }));
  const auto original = broker.message("CONTACT", 3);
  const auto copy = broker.message("CONTACT", 9);
  REQUIRE(copy);
  CHECK(copy->data == original->data);
  CHECK(copy->subject == "contact.edge_upserted");
  CHECK(copy->header("Cutover-For") == "search-projector");
  CHECK(copy->header("Cutover-Republished-From") == "CONTACT/1/3");
  CHECK(copy->header("Cutover-Key") == "3");
  CHECK(copy->header("traceparent") == original->header("traceparent"));

  // The worker comes back: nothing of it is its own any more. The copies are the monolith's.
  CHECK(worker.work("CONTACT", 1, {ledger_event(4)}) == "=");
  worker.begin();
  std::vector<LedgerEvent> seized;
  for (const int sequence : {3, 5, 7, 8}) {
    LedgerEvent event = ledger_event(sequence);
    event.event_id = uuid_of("contact-" + std::to_string(sequence));
    seized.push_back(event);
  }
  CHECK(worker.claim("CONTACT", 1, seized).serving == "====");
  worker.rollback();
  LedgerSession monolith(world.database, "search-projector", "monolith");
  CHECK(monolith.work("CONTACT", 1,
                      {ledger_event(9), ledger_event(10), ledger_event(11), ledger_event(12)}) == "aaaa");
}

TEST_CASE("of a canary's backlog only the worker's share is seized", "[cli]") {
  OwnershipWorld world;
  world.stand_at("canary", "50");
  world.publish_contacts(1, 40);
  const std::int64_t share = world.database.count(
      "SELECT count(*) FROM generate_series(1, 40) i WHERE cutover.bucket(i::text) < 5000");
  REQUIRE(share > 0);
  REQUIRE(share < 40);
  CHECK(world.change(kSeize)["seized"] == share);
}

TEST_CASE("a backlog that stayed behind is seized later, once", "[cli]") {
  OwnershipWorld world;
  world.stand_at("worker");
  world.publish_contacts(1, 3);
  REQUIRE(world.change({"reverse", "search-projector"})["code"] == 0);
  CHECK(world.database.count("SELECT count(*) FROM cutover.outbox") == 0);
  CHECK(world.change(kSeize)["seized"] == 3);
  CHECK(world.change(kSeize)["seized"] == 0);
  CHECK(world.database.count("SELECT count(*) FROM cutover.outbox") == 3);
}

TEST_CASE("a letter that is being replayed is seized with the rest", "[cli]") {
  OwnershipWorld world;
  world.stand_at("worker");
  world.publish_contacts(1, 1);
  world.database.query(
      "INSERT INTO cutover.dead_letters (worker_id, stream_id, sequence, shadow, event_hash, state, plan_id, "
      "lane, side, subject, "
      "event_id, event_name, key, tenant_scope, idempotency_key, kind, error, error_group, attempts, "
      "first_failed_at, "
      "last_failed_at, history, published_at, headers, payload) SELECT worker_id, stream_id, 1, false, "
      "cutover.event_hash('e'), "
      "'replaying', 1, 'contact', 'worker', 'contact.edge_upserted', 'e', 'contact.edge_upserted', 'k', "
      "'global', 'i', 'rejected', "
      "'e', 'e', 1, now(), now(), '[]', now(), '[]', 'body' FROM cutover.workers, cutover.streams "
      "WHERE worker = 'search-projector' AND stream = 'CONTACT'");
  world.database.query(
      "INSERT INTO cutover.settlements (worker_id, stream_id, side, class, sequences, span) SELECT "
      "worker_id, stream_id, 'w', 'x', "
      "'{[1,2)}', '[1,2)' FROM cutover.workers, cutover.streams WHERE worker = 'search-projector' AND stream "
      "= 'CONTACT'");
  const json done = world.change(kSeize);
  INFO(done.dump(1));
  CHECK(done["seized"] == 0);
  CHECK(done["seized_replays"] == 1);
  CHECK(world.database.value("SELECT state FROM cutover.dead_letters") == "seized");
}

TEST_CASE("a large backlog is read before the lock and seized in seconds", "[cli]") {
  OwnershipWorld world;
  world.stand_at("worker");
  constexpr int kEvents = 100'000;
  for (int from = 1; from <= kEvents; from += 20'000) world.publish_contacts(from, 20'000);
  Process relay(cutover_command({"relay"}), world.environment());
  REQUIRE(relay.wait_for("\"msg\":\"started\"", 20s));
  TestBroker broker(world.nats.url());
  const auto began = std::chrono::steady_clock::now();
  json done;
  std::jthread command([&] { done = world.change(kSeize); });
  REQUIRE(eventually([&] { return broker.last_sequence("CONTACT") > kEvents; }, 60s));
  const auto first = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  command.join();
  const auto whole = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  WARN("first copy after " << first << " s, command " << whole << " s, batches waited "
                           << done["held_milliseconds"].dump() << " ms");
  CHECK(done["seized"] == kEvents);
  REQUIRE(eventually([&] { return broker.last_sequence("CONTACT") == 2 * kEvents; }, 120s));
  // A row is marked once the broker has said that it holds the message.
  CHECK(eventually([&] { return world.database.count("SELECT count(*) FROM cutover.outbox WHERE published_at IS NULL") == 0; }, 20s));
}
