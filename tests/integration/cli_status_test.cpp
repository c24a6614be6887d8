// What an operator sees while a worker takes over, and the watch after it.
#include <signal.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "integration/ownership_world.h"

using namespace cutover::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

namespace {

json ownership(OwnershipWorld& world) {
  return json::parse(world.run({"status", "search-projector", "--json"}).out)["workers"][0]["ownership"];
}

// Letters of now: far more than one in a thousand.
void fail_events(OwnershipWorld& world, int count) {
  world.database.query(
      "INSERT INTO cutover.dead_letters (worker_id, stream_id, sequence, shadow, event_hash, lane, side, "
      "subject, event_id, "
      "event_name, key, tenant_scope, idempotency_key, kind, error, error_group, attempts, first_failed_at, "
      "last_failed_at, "
      "history, published_at, headers, payload) SELECT worker_id, stream_id, i, false, i, 'l', 'worker', "
      "'s', 'e', 'n', 'k', 't', "
      "'i', 'rejected', 'e', 'e', 1, clock_timestamp(), now(), '[]', now(), '[]', '' "
      "FROM cutover.workers, cutover.streams, generate_series(1, $1::integer) i "
      "WHERE worker = 'search-projector' AND stream = 'CORE'",
      {std::to_string(count)});
}

}  // namespace

TEST_CASE("status tells the stage, what waits on both sides, and what blocks the next step", "[cli]") {
  OwnershipWorld world;
  json before = ownership(world);
  CHECK(before["stage"] == "monolith");
  CHECK(before["since"].is_null());
  CHECK(before["next_step"] == "shadow start");
  CHECK(before["blocked_by"].empty());
  CHECK(before["reverse_ready"] == false);

  world.stand_at("canary", "12.5");
  world.see_gate();
  world.note_parity();
  world.database.query(
      "UPDATE cutover.instances SET detail = detail || '{\"lanes\": {\"contact\": {\"pending\": 5, "
      "\"ack_pending\": 2}}}' "
      "WHERE side = 'monolith'");
  const json during = ownership(world);
  INFO(during.dump(1));
  CHECK(during["stage"] == "canary");
  CHECK(during["percent"] == "12.5");
  CHECK(during["segments"].size() == 2);
  CHECK(during["monolith_pending"] == 7);
  CHECK(during["parity"]["verdict"] == "ok");
  CHECK(during["reverse_ready"] == true);
  CHECK(during["next_step"] == "switch");
  std::vector<std::string> blocked;
  for (const json& guard : during["blocked_by"]) blocked.push_back(guard["guard"]);
  CHECK(blocked == std::vector<std::string>{"worker_alive", "lag"});
  CHECK_THAT(world.run({"status"}).out,
             ContainsSubstring("stage: canary 12.5 %") && ContainsSubstring("monolith 7") &&
                 ContainsSubstring("reverse: ready") && ContainsSubstring("worker_alive: no instance runs"));
}

TEST_CASE("status --watch prints block after block into a pipe and ends with Ctrl-C", "[cli]") {
  OwnershipWorld world;
  Process status(cutover_command({"status", "--watch"}), world.environment());
  REQUIRE(status.wait_for("outbox: ", 20s));
  REQUIRE(status.wait_for("outbox: 0 waiting, 0 timers, no relay connected\n\n20", 20s));
  status.signal(SIGINT);
  const Ended ended = status.wait();
  CHECK(ended.code == 0);
  CHECK_THAT(ended.out, !ContainsSubstring("\x1b["));
}

TEST_CASE("status --watch draws one screen over the other on a terminal", "[cli]") {
  OwnershipWorld world;
  auto environment = world.environment();
  environment["TERM"] = "xterm";
  Process status(cutover_command({"status", "--watch"}), environment, true);
  REQUIRE(status.wait_for("outbox: ", 20s));
  REQUIRE(status.wait_for("\x1b[J\x1b[H", 20s));  // the end of one, the beginning of the next
  status.signal(SIGINT);
  CHECK(status.wait().code == 0);
}

TEST_CASE("the watch looks after a worker that owns events, and says what to do when it does badly",
          "[cli]") {
  OwnershipWorld world;
  world.stand_at("shadow");
  json look = world.ask({"watch", "search-projector", "--once"});
  CHECK(look["code"] == 0);
  CHECK(look["watching"] == false);

  world.stand_at("worker");
  look = world.ask({"watch", "search-projector", "--once"});
  CHECK(look["watching"] == true);
  CHECK(look["code"] == 2);  // nothing ran: nothing can be said
  fail_events(world, 5);
  look = world.ask({"watch", "search-projector", "--once"});
  INFO(look.dump(1));
  CHECK(look["code"] == 1);
  CHECK_THAT(look["over"].get<std::string>(), ContainsSubstring("dead_letters: 5 of"));
  CHECK_THAT(look["next"][0].get<std::string>(),
             ContainsSubstring("cutover reverse search-projector --reason"));
  CHECK(look["reversed"] == false);
  CHECK(world.stage() == "worker 0.00");
}

TEST_CASE("with auto_reverse the watch hands the events back after the third look that finds too much",
          "[cli]") {
  OwnershipWorld world;
  world.stand_at("worker");
  fail_events(world, 5);
  world.more["CUTOVER_OWNERSHIP_AUTO_REVERSE"] = "true";
  const Ended ended = world.run({"watch", "search-projector", "--every", "100ms"});
  INFO(ended.out << ended.err);
  CHECK(ended.code == 1);
  CHECK_THAT(ended.out, ContainsSubstring("reversed: dead_letters"));
  CHECK(world.stage() == "monolith 0.00");
  CHECK_THAT(world.database.value("SELECT reason FROM cutover.operator_log WHERE command = 'reverse'"),
             ContainsSubstring("the watch found: dead_letters"));
}
