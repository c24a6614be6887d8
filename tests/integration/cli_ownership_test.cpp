// Hand-overs through the program itself, on real servers.
#include <algorithm>
#include <functional>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "integration/ownership_world.h"

using namespace cutover;
using namespace cutover::test;
using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

namespace {

const std::vector<std::string> kShadowStart = {"shadow", "search-projector", "start"};
const std::vector<std::string> kShadowStop = {"shadow", "search-projector", "stop"};
const std::vector<std::string> kCanary = {"canary", "search-projector", "--percent", "12.5"};
const std::vector<std::string> kSwitch = {"switch", "search-projector"};
const std::vector<std::string> kReverse = {"reverse", "search-projector"};
const std::vector<std::string> kComplete = {"complete", "search-projector"};

std::vector<std::string> with(std::vector<std::string> command, const std::vector<std::string>& more) {
  command.insert(command.end(), more.begin(), more.end());
  return command;
}

std::vector<std::string> refusing(const json& document) {
  std::vector<std::string> names;
  for (const json& guard : document["guards"])
    if (guard["state"] == "refuses") names.push_back(guard["name"]);
  return names;
}

// A batch that began and does not end.
class EndlessBatch {
 public:
  explicit EndlessBatch(const TestDatabase& database) : connection_(database.options("cutover long batch")) {
    connection_.connect();
    pid_ = connection_.run("SELECT pg_backend_pid()::bigint")->integer(0, 0);
    connection_.run("BEGIN");
    connection_.run(
        "SELECT pg_advisory_xact_lock_shared(cutover.lock_class_worker(), worker_id), 'a slow statement' "
        "FROM cutover.workers WHERE worker = 'search-projector'");
  }
  std::int64_t pid() const { return pid_; }
  bool alive() {
    try {
      connection_.run("SELECT 1");
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }

 private:
  postgres::Connection connection_;
  std::int64_t pid_ = 0;
};

}  // namespace

TEST_CASE("a worker takes over step by step and gives everything back, each step with its reason", "[cli]") {
  OwnershipWorld world;
  json done = world.change(kShadowStart);
  INFO(done.dump(1));
  CHECK(done["code"] == 0);
  CHECK(done["result"] == "done");
  CHECK(done["after"] == "shadow");
  CHECK(done["seeded"] == true);
  CHECK(done["segments"].size() == 2);
  CHECK(world.stage() == "shadow 0.00");

  world.run_worker();
  world.see_gate();
  world.note_parity();
  done = world.change(kCanary);
  INFO(done.dump(1));
  CHECK(done["code"] == 0);
  CHECK(done["before"] == "shadow");
  CHECK(done["after"] == "canary 12.5 %");
  CHECK(world.stage() == "canary 12.50");
  CHECK(world.change(kSwitch)["code"] == 0);
  CHECK(world.stage() == "worker 0.00");
  done = world.change(kReverse);
  CHECK(done["code"] == 0);
  CHECK(done["before"] == "worker");
  CHECK(world.stage() == "monolith 0.00");

  const json history = world.ask({"history", "search-projector"});
  CHECK(history["segments"].size() == 8);
  std::vector<std::string> commands;
  for (const json& operation : history["operations"]) {
    CHECK(operation["result"] == "done");
    CHECK(operation["reason"] == "a test");
    commands.push_back(operation["command"]);
  }
  CHECK(commands == std::vector<std::string>{"shadow start", "shadow seed", "canary", "switch", "reverse"});
  CHECK_THAT(world.run({"history", "search-projector"}).out, ContainsSubstring("canary 12.5 %"));
}

TEST_CASE("shadow can be stopped, and nothing is left of it", "[cli]") {
  OwnershipWorld world;
  REQUIRE(world.change(kShadowStart)["code"] == 0);
  const json done = world.change(kShadowStop);
  CHECK(done["code"] == 0);
  CHECK(world.stage() == "monolith 0.00");
  CHECK(world.change(kShadowStop)["result"] == "unchanged");
}

TEST_CASE("a step that was made already changes nothing and is no error", "[cli]") {
  OwnershipWorld world;
  world.stand_at("worker");
  const std::string before = world.tables();
  const json again = world.change(kSwitch);
  CHECK(again["code"] == 0);
  CHECK(again["result"] == "unchanged");
  CHECK(world.tables() == before);
}

TEST_CASE("a dry run prints the same steps and guards, and changes nothing", "[cli]") {
  OwnershipWorld world;
  const auto [mode, command] = GENERATE(table<std::string, std::vector<std::string>>({
      {"", kShadowStart},
      {"shadow", kShadowStop},
      {"shadow", kCanary},
      {"canary", kSwitch},
      {"worker", kReverse},
      {"worker", {"reverse", "search-projector", "--seize"}},
      {"worker", kComplete},
  }));
  INFO(command.front());
  if (!mode.empty()) world.stand_at(mode, mode == "canary" ? "1" : "0");
  if (command == kCanary || command == kSwitch) {
    world.run_worker();
    world.see_gate();
    world.note_parity();
  }
  if (command == kComplete) world.more["CUTOVER_OWNERSHIP_STABLE"] = "0";
  const std::string before = world.tables();
  json planned = world.ask(with(command, {"--dry-run"}));
  INFO(planned.dump(1));
  CHECK(planned["code"] == 0);
  CHECK(planned["result"] == "would do");
  CHECK_FALSE(planned["steps"].empty());
  CHECK(world.tables() == before);
  const json done = world.change(command);
  CHECK(done["code"] == 0);
  CHECK(done["steps"] == planned["steps"]);
  CHECK(done["after"] == planned["after"]);
  REQUIRE(done["guards"].size() == planned["guards"].size());
  for (std::size_t i = 0; i < done["guards"].size(); ++i)
    CHECK(done["guards"][i]["state"] == planned["guards"][i]["state"]);
  CHECK(world.tables() != before);
}

TEST_CASE("nothing changes without a reason", "[cli]") {
  OwnershipWorld world;
  world.stand_at("shadow");
  const std::string before = world.tables();
  for (const auto& command : {kShadowStart, kShadowStop, kCanary, kSwitch, kReverse, kComplete,
                              std::vector<std::string>{"incarnation", "start", "CORE"}}) {
    const Ended ended = world.run(command);
    CHECK(ended.code == 3);
    CHECK_THAT(ended.err, ContainsSubstring("--reason TEXT"));
  }
  CHECK(world.tables() == before);
}

TEST_CASE("a refusal names the guards, changes nothing but the log, and says what to do", "[cli]") {
  OwnershipWorld world;
  world.stand_at("shadow");
  const json refused = world.change(kCanary);
  CHECK(refused["code"] == 1);
  CHECK(refused["result"] == "refused");
  CHECK(refusing(refused) == std::vector<std::string>{"worker_alive", "parity", "lag", "gate", "vectors"});
  CHECK_THAT(refused["err"].get<std::string>(),
             ContainsSubstring("refused by worker_alive, parity, lag, gate, vectors; nothing was changed"));
  CHECK(world.stage() == "shadow 0.00");
  CHECK(world.database.value("SELECT command || ' ' || result FROM cutover.operator_log") ==
        "canary refused");
}

namespace {

struct Trip {
  std::string guard;
  std::function<void(OwnershipWorld&)> spoil;
};

// Each makes one guard of a switch refuse.
std::vector<Trip> trips() {
  const auto sql = [](const char* statement) {
    return [statement](OwnershipWorld& w) { w.database.query(statement); };
  };
  return {
      {"order_of_stages", [](OwnershipWorld& w) { w.stand_at("shadow"); }},
      {"order_of_workers",
       [](OwnershipWorld& w) { w.more["CUTOVER_OWNERSHIP_ORDER"] = "score-orchestrator,search-projector"; }},
      {"worker_alive", sql("UPDATE cutover.instances SET build = 'another' WHERE side = 'worker'")},
      {"parity", sql("UPDATE cutover.parity_verdicts SET at = at - interval '25 hours'")},
      {"dead_letters",
       sql("INSERT INTO cutover.dead_letters (worker_id, stream_id, sequence, shadow, event_hash, lane, "
           "side, subject, event_id, "
           "event_name, key, tenant_scope, idempotency_key, kind, error, error_group, attempts, "
           "first_failed_at, last_failed_at, "
           "history, published_at, headers, payload) SELECT worker_id, stream_id, 1, false, 1, 'l', "
           "'worker', 's', 'e', 'n', 'k', "
           "'t', 'i', 'rejected', 'e', 'e', 1, now(), now(), '[]', now(), '[]', '' "
           "FROM cutover.workers, cutover.streams WHERE worker = 'search-projector' AND stream = 'CORE'")},
      {"outbox",
       [](OwnershipWorld& w) {
         w.more["CUTOVER_OWNERSHIP_OUTBOX_WAITING_MAX"] = "0";
         // Nobody relays what no stream takes.
         w.database.query(
             "INSERT INTO cutover.outbox (message_id, subject, key, payload) VALUES ('a', 'nowhere', 'k', "
             "'')");
       }},
      {"topology",
       [](OwnershipWorld& w) {
         TestBroker broker(w.nats.url());
         json config = (*broker.admin.stream("SCORE"))["config"];
         config["max_age"] = 3'600'000'000'000;
         broker.admin.update_stream(config);
       }},
      {"gate", sql("UPDATE cutover.instances SET seen_at = now() - interval '61 s' WHERE side = 'monolith'")},
      {"vectors",
       sql("UPDATE cutover.instances SET detail = '{\"vectors\": \"other\"}' WHERE side = 'monolith'")},
      {"lag",
       [](OwnershipWorld& w) {
         w.worker.reset();  // killed: what comes now waits
         w.more["CUTOVER_OWNERSHIP_DRAIN_MAX"] = "0";
         w.publish_contacts(1, 10);
       }},
      {"incarnation",
       [](OwnershipWorld& w) {
         TestBroker broker(w.nats.url());
         json config = (*broker.admin.stream("CONTACT"))["config"];
         broker.admin.delete_stream("CONTACT");
         broker.admin.create_stream(config);
       }},
  };
}

}  // namespace

TEST_CASE("each guard refuses a switch by its own fault; it is forced by its name and recorded, or cannot be",
          "[cli]") {
  const std::vector<Trip> all = trips();
  const Trip& trip = all[GENERATE_REF(range(std::size_t{0}, all.size()))];
  OwnershipWorld world;
  world.stand_at("canary", "10");
  world.run_worker();
  world.see_gate();
  world.note_parity();
  REQUIRE(world.ask(with(kSwitch, {"--dry-run"}))["result"] == "would do");

  trip.spoil(world);
  const std::string before = world.stage();
  const json refused = world.change(kSwitch);
  INFO(trip.guard << refused.dump(1));
  CHECK(refused["code"] == 1);
  const auto names = refusing(refused);
  CHECK(std::count(names.begin(), names.end(), trip.guard) == 1);
  CHECK(world.stage() == before);

  std::vector<std::string> forces;
  for (const std::string& name : names) forces.insert(forces.end(), {"--force", name});
  const json forced = world.change(with(kSwitch, forces));
  INFO(forced.dump(1));
  if (trip.guard == "gate" || trip.guard == "vectors" || trip.guard == "incarnation") {
    CHECK(forced["code"] == 1);
    CHECK_THAT(forced["err"].get<std::string>(), ContainsSubstring("cannot be forced"));
    CHECK(world.stage() == before);
    return;
  }
  CHECK(forced["code"] == 0);
  CHECK(world.stage() == "worker 0.00");
  CHECK_THAT(
      world.database.value("SELECT forced::text FROM cutover.operator_log ORDER BY log_id DESC LIMIT 1"),
      ContainsSubstring(trip.guard));
}

TEST_CASE("complete waits for its time and for the monolith, and is final", "[cli]") {
  OwnershipWorld world;
  world.publish_contacts(1, 3);
  world.stand_at("monolith");
  world.publish_contacts(4, 2);  // the monolith's, and nobody settles them
  world.stand_at("worker");
  CHECK(refusing(world.change(kComplete)) == std::vector<std::string>{"stable_72h", "unsettled"});
  world.more["CUTOVER_OWNERSHIP_STABLE"] = "0";
  const json refused = world.change(kComplete);
  INFO(refused.dump(1));
  CHECK(refusing(refused) == std::vector<std::string>{"unsettled"});
  const json done = world.change(with(kComplete, {"--force", "unsettled"}));
  CHECK(done["code"] == 0);
  CHECK(done["after"] == "complete");
  CHECK(world.change(kComplete)["result"] == "unchanged");
  CHECK(refusing(world.change(kReverse)) == std::vector<std::string>{"order_of_stages"});
  CHECK(world.change(with(kReverse, {"--force", "order_of_stages"}))["code"] == 0);
}

TEST_CASE("a batch that holds the lock stops a flip: it is named, and nothing changes", "[cli]") {
  OwnershipWorld world;
  world.stand_at("worker");
  EndlessBatch batch(world.database);
  const std::string before = world.tables();
  const json refused = world.change(with(kReverse, {"--lock-timeout", "500ms"}));
  CHECK(refused["code"] == 1);
  CHECK_THAT(refused["err"].get<std::string>(),
             ContainsSubstring("pid " + std::to_string(batch.pid())) &&
                 ContainsSubstring("cutover long batch") && ContainsSubstring("transaction open for") &&
                 ContainsSubstring("a slow statement") && ContainsSubstring("nothing was changed"));
  CHECK(world.tables() == before);
  CHECK(batch.alive());

  const json ended = world.change(with(kReverse, {"--lock-timeout", "500ms", "--terminate-blockers"}));
  INFO(ended.dump(1));
  CHECK(ended["code"] == 0);
  CHECK(world.stage() == "monolith 0.00");
  REQUIRE(ended["terminated"].size() == 1);
  CHECK_THAT(ended["terminated"][0].get<std::string>(), ContainsSubstring("cutover long batch"));
  CHECK_FALSE(batch.alive());
}

TEST_CASE("a stream that was made anew is accepted by a command of its own, and every worker keeps its stage",
          "[cli]") {
  OwnershipWorld world;
  world.stand_at("canary", "10");
  {
    TestBroker broker(world.nats.url());
    json config = (*broker.admin.stream("CONTACT"))["config"];
    broker.admin.delete_stream("CONTACT");
    broker.admin.create_stream(config);
  }
  CHECK(world.check("stream incarnations")["state"] == "fail");
  const std::vector<std::string> command = {"incarnation", "start", "CONTACT"};
  const std::string before = world.tables();
  const json planned = world.ask(with(command, {"--dry-run"}));
  CHECK(planned["result"] == "would do");
  CHECK(world.tables() == before);
  const json done = world.change(command);
  INFO(done.dump(1));
  CHECK(done["code"] == 0);
  CHECK(done["after"] == 2);
  CHECK(world.database.value(
            "SELECT mode || ' ' || percent || ' from ' || from_sequence FROM cutover.ownership JOIN "
            "cutover.streams USING (stream_id) WHERE incarnation = 2") == "canary 10.00 from 0");
  CHECK(world.check("stream incarnations")["state"] == "ok");
  CHECK(world.change(command)["result"] == "unchanged");
  CHECK(world.run({"incarnation", "start", "NOWHERE", "--reason", "x"}).code == 3);
}

TEST_CASE("without a broker nothing goes forward, but everything goes back", "[cli]") {
  OwnershipWorld world;
  world.publish_contacts(1, 5);
  world.stand_at("canary", "10");
  world.nats.stop();
  world.more["CUTOVER_NATS_TIMEOUT"] = "300ms";
  const std::string before = world.tables();
  for (const auto& command : {kSwitch, kCanary, with(kReverse, {"--seize"})}) {
    const json refused = world.change(command);
    CHECK(refused["code"] == 3);
    CHECK_THAT(refused["err"].get<std::string>(), ContainsSubstring("NATS"));
  }
  CHECK(world.tables() == before);
  const json back = world.change(kReverse);
  INFO(back.dump(1));
  CHECK(back["code"] == 0);
  CHECK(world.stage() == "monolith 0.00");
  CHECK(back["warnings"].size() == 2);
}

TEST_CASE("without PostgreSQL every command says so and ends with 3", "[cli]") {
  OwnershipWorld world;
  world.more["CUTOVER_POSTGRES_URL"] = "postgresql://127.0.0.1:1/x";
  auto environment = world.environment();
  environment["CUTOVER_POSTGRES_URL"] = "postgresql://127.0.0.1:1/x";
  for (const auto& command : {kShadowStart, kCanary, kSwitch, kReverse, kComplete}) {
    const Ended ended = run_cutover(with(command, {"--reason", "x"}), environment);
    CHECK(ended.code == 3);
    CHECK_THAT(ended.err, ContainsSubstring("PostgreSQL") && ContainsSubstring("Do: "));
  }
}

TEST_CASE("a mistake in the arguments is named before anything is asked", "[cli]") {
  const auto [arguments, what] = GENERATE(table<std::vector<std::string>, std::string>({
      {{"switch", "no-such-worker", "--reason", "x"}, "no-such-worker"},
      {{"shadow", "no-such-worker", "start", "--reason", "x"}, "no-such-worker"},
      {{"canary", "search-projector", "--percent", "101", "--reason", "x"}, "0.01 to 100"},
      {{"canary", "search-projector", "--reason", "x"}, "--percent"},
      {{"switch", "search-projector", "--reason", "x", "--force", "nonsense"}, "nonsense"},
      {{"switch", "search-projector", "--reason", "x", "--lock-timeout", "soon"}, "--lock-timeout"},
  }));
  const Ended ended = run_cutover(arguments);
  CHECK(ended.code == 3);
  CHECK_THAT(ended.err, ContainsSubstring(what));
  CHECK(std::count(ended.err.begin(), ended.err.end(), '\n') == 1);
}

TEST_CASE("shadow begins with what serving holds, once the monolith is through", "[cli]") {
  OwnershipWorld world;
  world.database.query(
      "INSERT INTO serving.search_documents (doc_id, kind, visibility, display_name, tsv) "
      "SELECT 'contact:' || i, 'contact', 'owner', 'n' || i, '' FROM generate_series(1, 5) i");
  world.database.query(
      "INSERT INTO shadow.search_documents (doc_id, kind, visibility, display_name, tsv) VALUES "
      "('contact:9', 'contact', "
      "'owner', 'of an earlier shadow', '')");
  world.stand_at("monolith");
  world.publish_contacts(1, 2);
  const json waiting = world.change(with(kShadowStart, {"--wait", "300ms"}));
  INFO(waiting.dump(1));
  CHECK(waiting["code"] == 2);
  CHECK(waiting["result"] == "incomplete");
  CHECK_THAT(waiting["warnings"][0].get<std::string>(), ContainsSubstring("has not settled 2 events"));
  CHECK(world.stage() == "shadow 0.00");
  CHECK(world.database.count("SELECT count(*) FROM shadow.search_documents") == 0);

  world.database.query(
      "INSERT INTO cutover.settlements (worker_id, stream_id, side, class, sequences, span) "
      "SELECT worker_id, stream_id, 'm', 'a', '{[1,3)}', '[1,3)' FROM cutover.workers, cutover.streams "
      "WHERE worker = 'search-projector' AND stream = 'CONTACT'");
  const json done = world.change(kShadowStart);
  INFO(done.dump(1));
  CHECK(done["code"] == 0);
  CHECK(done["copied"] == 5);
  CHECK(world.database.count("SELECT count(*) FROM cutover.ownership") == 4);  // it was in shadow already
  CHECK(world.database.count("SELECT count(*) FROM shadow.search_documents WHERE stream IS NULL") == 5);
  CHECK(world.change(kShadowStart)["result"] == "unchanged");
}
