// The program with servers: what every command makes of them.
#include "integration/cli_servers.h"

#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "fixtures/server_addresses.h"

using namespace cutover::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

TEST_CASE("plan shows what apply then does, and neither repeats it", "[cli]") {
  Servers servers;
  const Ended before = servers.run({"streams", "plan", "--json"});
  CHECK(before.code == 1);
  const json planned = json::parse(before.out);
  CHECK(planned["as_wanted"] == false);
  const Ended applied = servers.run({"streams", "apply", "--json"});
  CHECK(applied.code == 0);
  CHECK(json::parse(applied.out)["changed"] == planned["changes"]);
  CHECK(servers.run({"streams", "plan"}).code == 0);
  CHECK(json::parse(servers.run({"streams", "apply", "--json"}).out)["changed"].empty());
}

TEST_CASE("a topology file that is wrong is an error, a destructive change is refused", "[cli]") {
  Servers servers;
  servers.run({"streams", "apply"});
  const std::filesystem::path folder =
      std::filesystem::path(CUTOVER_BINARY_DIR) / ("streams-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "CONTACT.json")
      << R"({"name": "CONTACT", "subjects": ["contact.>"], "max_age": 86400000000000})";
  const Ended refused = servers.run({"streams", "apply", "--streams-dir", folder.string()});
  CHECK(refused.code == 1);
  CHECK_THAT(refused.err, ContainsSubstring("max_age") && ContainsSubstring("--allow-destructive"));
  CHECK(servers.run({"streams", "apply", "--streams-dir", folder.string(), "--allow-destructive"}).code == 0);
  std::ofstream(folder / "CONTACT.json") << R"({"name": "OTHER"})";
  const Ended wrong = servers.run({"streams", "plan", "--streams-dir", folder.string()});
  CHECK(wrong.code == 3);
  CHECK_THAT(wrong.err, ContainsSubstring((folder / "CONTACT.json").string()));
  std::filesystem::remove_all(folder);
}

TEST_CASE("doctor finds nothing wrong where nothing is", "[cli]") {
  Servers servers;
  servers.run({"streams", "apply"});
  const Ended ended = servers.run({"doctor", "--json"});
  INFO(ended.out << ended.err);
  CHECK(ended.code == 0);
  const json document = json::parse(ended.out);
  CHECK(document["ok"] == true);
  for (const json& check : document["checks"]) CHECK(check["state"] == "ok");
}

TEST_CASE("doctor names what is missing, each by its own line", "[cli]") {
  Servers servers;
  CHECK(servers.check("topology")["state"] == "fail");
  CHECK_THAT(servers.check("topology")["do"].get<std::string>(), ContainsSubstring("streams apply"));

  servers.execute({"DROP INDEX app.contacts_owner", "ALTER TABLE app.contacts RENAME TO contacts_elsewhere"});
  CHECK_THAT(servers.check("indexes of schema app")["found"].get<std::string>(),
             ContainsSubstring("contacts (owner_id)"));
  CHECK_THAT(servers.check("postgres permissions")["found"].get<std::string>(),
             ContainsSubstring("app.contacts"));

  servers.database.query(
      "CREATE OR REPLACE FUNCTION cutover.schema_version() RETURNS integer LANGUAGE sql AS 'SELECT 1'");
  CHECK(servers.check("schema version")["state"] == "fail");
  CHECK_THAT(servers.check("schema version")["found"].get<std::string>(),
             ContainsSubstring("1 (last change"));

  servers.database.query("ALTER DATABASE " +
                         servers.database.url().substr(servers.database.url().rfind('/') + 1) +
                         " SET default_transaction_read_only = on");
  CHECK(servers.check("postgres writable")["state"] == "fail");
}

namespace {
// The same address with another user.
std::string as_user(std::string url, const std::string& user) {
  const auto from = url.find("//") + 2;
  return url.replace(from, url.find('@') - from, user);
}
}  // namespace

TEST_CASE("doctor tells a role what it lacks", "[cli]") {
  Servers servers;
  const std::string role = unique_name("cli_test_role_");
  servers.database.query("CREATE ROLE " + role + " LOGIN");
  auto environment = servers.environment();
  environment["CUTOVER_POSTGRES_URL"] = as_user(servers.database.url(), role);
  const Ended ended = run_cutover({"doctor"}, environment);
  CHECK(ended.code == 1);
  CHECK_THAT(ended.out, ContainsSubstring("role " + role + " lacks") &&
                            ContainsSubstring("on cutover.outbox") &&
                            ContainsSubstring("GRANT cutover_search_projector TO " + role));
  for (const char* grant : {"GRANT cutover_search_projector TO ", "GRANT USAGE ON SCHEMA app TO ",
                            "GRANT SELECT ON ALL TABLES IN SCHEMA app TO "})
    servers.database.query(grant + role);
  CHECK_THAT(run_cutover({"doctor"}, environment).out,
             ContainsSubstring("role " + role + " may do what a worker does"));
  servers.database.query("DROP OWNED BY " + role);
  servers.database.query("DROP ROLE " + role);
}

TEST_CASE("with both servers missing doctor reports each, and every other command says one thing", "[cli]") {
  const Process::Environment nowhere = {{"CUTOVER_NATS_SERVERS", "nats://127.0.0.1:1"},
                                        {"CUTOVER_POSTGRES_URL", "postgresql://127.0.0.1:1/x"},
                                        {"CUTOVER_NATS_TIMEOUT", "1s"}};
  const Ended doctor = run_cutover({"doctor", "--json"}, nowhere);
  CHECK(doctor.code == 1);
  std::map<std::string, json> checks;
  const json document = json::parse(doctor.out);
  for (const json& check : document["checks"]) checks[check["name"]] = check;
  CHECK(checks["postgres connection"]["state"] == "fail");
  CHECK(checks["nats server nats://127.0.0.1:1"]["state"] == "fail");
  CHECK(checks["nats connection"]["state"] == "fail");
  CHECK(checks["topology"]["state"] == "skipped");
  CHECK(checks["ops port"]["state"] == "ok");

  const Ended plan = run_cutover({"streams", "plan"}, nowhere);
  CHECK(plan.code == 3);
  CHECK_THAT(plan.err, ContainsSubstring("nats://127.0.0.1:1") && ContainsSubstring("Do: "));
  CHECK(std::count(plan.err.begin(), plan.err.end(), '\n') == 1);
}

TEST_CASE("status shows what answers, and is inconclusive about the rest", "[cli]") {
  Servers servers;
  servers.run({"streams", "apply"});
  servers.database.query(
      "INSERT INTO cutover.outbox (message_id, subject, key, payload) VALUES ('a', 'x', 'k', ''), ('b', 'x', "
      "'k', '')");
  const Ended whole = servers.run({"status", "--json"});
  CHECK(whole.code == 0);
  CHECK(json::parse(whole.out)["outbox"]["waiting"] == 2);
  CHECK_THAT(servers.run({"status"}).out, ContainsSubstring("2 waiting"));

  servers.nats.stop();
  auto environment = servers.environment();
  environment["CUTOVER_NATS_TIMEOUT"] = "1s";
  const Ended half = run_cutover({"status", "--json"}, environment);
  CHECK(half.code == 2);
  const json document = json::parse(half.out);
  CHECK(document["outbox"]["waiting"] == 2);
  CHECK(document["troubles"].size() == 1);
}

namespace {

// Three contacts of owner 7, none of them in the documents yet.
void add_contacts(TestDatabase& database) {
  database.query("INSERT INTO app.principals (principal_id, username) VALUES (7, 'seven')");
  database.query(
      "INSERT INTO app.contacts (contact_id, owner_id, display_name, state, confidence, contested, "
      "first_seen_at, last_evidence_at) "
      "SELECT i, 7, 'Contact ' || i, 'active_confirmed', 0.9, false, now(), now() FROM generate_series(1, 3) "
      "i");
}

std::string ops_port(const Process& process) {
  const std::string& log = process.err();
  const auto at = log.find("\"ops_port\":") + 11;
  return log.substr(at, log.find_first_not_of("0123456789", at) - at);
}

}  // namespace

TEST_CASE("run works until SIGTERM, shows in status and is gone after it", "[cli]") {
  Servers servers;
  REQUIRE(servers.run({"streams", "apply"}).code == 0);
  Process worker(cutover_command({"run", "search-projector"}), servers.environment());
  REQUIRE(worker.wait_for("\"msg\":\"started\"", 20s));
  CHECK(ops_port(worker) != "0");

  const json during = json::parse(servers.run({"status", "search-projector", "--json"}).out);
  REQUIRE(during["workers"][0]["instances"].size() == 1);
  CHECK(during["workers"][0]["instances"][0]["alive"] == true);
  CHECK(during["workers"][0]["instances"][0]["pid"] == worker.pid());
  CHECK(during["outbox"]["relays"] == 1);
  CHECK(during["workers"][0]["lanes"].size() == 6);
  for (const json& lane : during["workers"][0]["lanes"]) CHECK(lane["exists"] == true);

  worker.signal(SIGTERM);
  CHECK(worker.wait().code == 0);
  CHECK(json::parse(servers.run({"status", "--json"}).out)["workers"][0]["instances"].empty());
}

TEST_CASE("relay publishes what waits and ends with 0", "[cli]") {
  Servers servers;
  REQUIRE(servers.run({"streams", "apply"}).code == 0);
  servers.database.query(
      "INSERT INTO cutover.outbox (message_id, subject, key, payload) VALUES ('a', 'contact.edge_upserted', "
      "'k', '{}')");
  Process relay(cutover_command({"relay"}), servers.environment());
  REQUIRE(relay.wait_for("\"msg\":\"started\"", 20s));
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  json status;
  do {
    status = json::parse(servers.run({"status", "--json"}).out);
  } while (status["outbox"]["waiting"] != 0 && std::chrono::steady_clock::now() < deadline);
  CHECK(status["outbox"]["waiting"] == 0);
  relay.signal(SIGTERM);
  CHECK(relay.wait().code == 0);
}

TEST_CASE("run refuses to start half: no streams, no database, a port that is taken", "[cli]") {
  Servers servers;
  const Ended no_streams = servers.run({"run", "search-projector"});
  CHECK(no_streams.code == 3);
  CHECK_THAT(no_streams.err, ContainsSubstring("error: "));

  REQUIRE(servers.run({"streams", "apply"}).code == 0);
  auto no_database = servers.environment();
  no_database["CUTOVER_POSTGRES_URL"] = "postgresql://127.0.0.1:1/x";
  const Ended refused = run_cutover({"run", "search-projector"}, no_database);
  CHECK(refused.code == 3);
  CHECK_THAT(refused.err, ContainsSubstring("postgres.url") && ContainsSubstring("Do: "));

  Process first(cutover_command({"relay"}), servers.environment());
  REQUIRE(first.wait_for("\"msg\":\"started\"", 20s));
  const Ended taken = servers.run({"run", "search-projector", "--set", "ops.port=" + ops_port(first)});
  CHECK(taken.code == 3);
  CHECK_THAT(taken.err, ContainsSubstring("ops.port"));
  CHECK(json::parse(servers.run({"status", "--json"}).out)["workers"][0]["instances"].empty());
}

TEST_CASE("drift finds what is missing, reindex writes it, drift is content", "[cli]") {
  Servers servers;
  CHECK(servers.run({"drift", "search-projector", "--full", "--json"}).code == 2);  // nothing to compare

  add_contacts(servers.database);
  const Ended before = servers.run({"drift", "search-projector", "--full", "--json"});
  CHECK(before.code == 1);
  CHECK(json::parse(before.out)["missing"] == 3);
  CHECK(json::parse(before.out)["verdict"] == "different");

  const Ended built = servers.run({"reindex", "search-projector", "--json"});
  CHECK(built.code == 0);
  CHECK(json::parse(built.out)["outcome"] == "completed");
  CHECK(json::parse(built.out)["upserted"] == 3);
  CHECK(servers.run({"drift", "search-projector", "--full"}).code == 0);
  CHECK(json::parse(servers.run({"reindex", "search-projector", "--owner", "7", "--json"}).out)["upserted"] ==
        0);
}

TEST_CASE("the example at the end of each help text works", "[cli]") {
  Servers servers;
  REQUIRE(servers.run({"streams", "apply"}).code == 0);
  add_contacts(servers.database);
  auto environment = servers.environment();
  environment["PATH"] = std::filesystem::path(kCutover).parent_path().string() + ":" + std::getenv("PATH");
  for (const auto& command : all_commands()) {
    const std::string example = example_of(command);
    INFO(example);
    if (example.starts_with("source")) {
      CHECK(cutover::test::run({"/bin/bash", "-c", example}, environment).code == 0);
      continue;
    }
    Process process({"/bin/bash", "-c", "exec " + example}, environment);
    if (command == std::vector<std::string>{"run"} || command == std::vector<std::string>{"relay"}) {
      CHECK(process.wait_for("\"msg\":\"started\"", 20s));
      process.signal(SIGTERM);
    }
    const Ended ended = process.wait();
    INFO(ended.out << ended.err);
    // 1: production wants replicas that this server does not have; 2: nothing is in shadow here, no run was published
    const std::string first = command.empty() ? "" : command.front();
    CHECK(ended.code <= (first == "compare" || first == "score" ? 2 : 1));
  }
}
