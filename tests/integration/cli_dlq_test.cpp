// `cutover dlq` on a database with letters: what an operator sees, seals, drops, edits, takes out and brings
// in.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "fixtures/waiting.h"
#include "integration/letter_world.h"

using namespace cutover::test;
using Catch::Matchers::ContainsSubstring;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

const std::vector<std::string> kBecause = {"--reason", "a test"};

std::vector<std::string> with_reason(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), kBecause.begin(), kBecause.end());
  return arguments;
}

// A folder of the test's own.
struct Folder {
  Folder() : path("/tmp/cutover-dlq-" + std::to_string(::getpid())) {
    std::filesystem::create_directories(path);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string write(const std::string& name, const std::string& text, bool executable = false) const {
    std::ofstream(path + "/" + name) << text;
    if (executable) std::filesystem::permissions(path + "/" + name, std::filesystem::perms::owner_all);
    return path + "/" + name;
  }
  static std::string read(const std::string& file) {
    std::stringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
  }
  const std::string path;
};

// 12 problems of three workers.
std::vector<Problem> problems(int each) {
  std::vector<Problem> all;
  const auto add = [&](Problem p) {
    p.count = each;
    all.push_back(std::move(p));
  };
  for (const char* error :
       {"contact <n> has no owner", "duplicate key value (id)=(<n>)", "timeout after <n> ms"})
    for (const char* kind : {"rejected", "transient"}) add({.kind = kind, .error = error});
  add({.lane = "profile", .stream = "CORE", .event = "profile.updated", .error = "contact <n> has no owner"});
  for (const char* error : {"principal <n> is unknown", "graph has <n> edges, at most 5000"})
    add({.worker = "score-orchestrator",
         .lane = "graph",
         .stream = "GRAPH",
         .event = "graph.edge_changed",
         .error = error});
  for (const char* error : {"case <n> has no channel", "evidence <n> is stale", "case <n> was merged"})
    add({.worker = "dispute-processor",
         .lane = "cases",
         .stream = "CORE",
         .event = "security.case_opened",
         .error = error});
  return all;
}

}  // namespace

TEST_CASE("50,000 letters are told apart by worker, lane, kind and error without its numbers", "[dlq]") {
  LetterWorld world;
  for (const Problem& problem : problems(4'167)) world.add(problem);
  world.db.query("ANALYZE cutover.dead_letters");
  const auto began = std::chrono::steady_clock::now();
  const json found = world.ask({"groups"});
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::cout << "groups of " << found["letters"] << " letters took " << took.count() << " s\n";
  CHECK(found["code"] == 0);
  CHECK(found["letters"] == 50'004);
  CHECK(found["groups"].size() == 12);
  for (const json& group : found["groups"]) CHECK(group["count"] == 4'167);

  // Filters compose.
  CHECK(world.ask({"groups", "--worker", "search-projector"})["groups"].size() == 7);
  CHECK(world.ask({"groups", "--worker", "search-projector", "--lane", "contact"})["groups"].size() == 6);
  const json one =
      world.ask({"groups", "--worker", "search-projector", "--lane", "contact", "--kind", "transient"});
  CHECK(one["groups"].size() == 3);
  const std::string group = one["groups"][0]["group"];
  CHECK(world.ask({"ls", "--group", group, "--kind", "transient", "--limit", "10"})["matching"] == 4'167);
  CHECK(world.ask({"ls", "--group", group, "--kind", "rejected"})["matching"] == 0);
  CHECK(world.ask({"ls", "--group", group, "--key", "subject 1"})["matching"].get<int>() +
            world.ask({"ls", "--key", "subject 1", "--event", "contact.edge_upserted"})["matching"]
                .get<int>() >=
        1);
  CHECK(world.ask({"ls", "--stream", "GRAPH", "--since", "1h"})["matching"] == 2 * 4'167);
  CHECK(world.ask({"ls", "--stream", "GRAPH", "--until", "1h"})["matching"] == 0);

  // Pages follow on each other.
  const json first = world.ask({"ls", "--group", group, "--limit", "3"});
  const json second =
      world.ask({"ls", "--group", group, "--limit", "3", "--after", first["next_after"].dump()});
  CHECK(first["letters"].size() == 3);
  CHECK(second["letters"][0]["letter"] > first["letters"][2]["letter"]);
}

TEST_CASE("show tells a letter's life, and its payload only when asked", "[dlq]") {
  LetterWorld world;
  const std::int64_t letter = world.add({.payload = R"({"secret_of_anna": 1})"});
  const std::string number = std::to_string(letter);
  const Ended plain = world.dlq({"show", number});
  INFO(plain.out);
  CHECK(plain.code == 0);
  for (const char* part :
       {"dead letter 1: open", "rejected: contact ", "CONTACT/1", "traceparent", "what happened to it",
        "worker-1, build 1.0.0", "the ledger", "dead_letter", "who has its idempotency key", "--payload",
        "cutover dlq replay --letter 1 --plan"})
    CHECK_THAT(plain.out, ContainsSubstring(part));
  CHECK_THAT(plain.out, !ContainsSubstring("secret_of_anna"));
  CHECK_THAT(world.dlq({"show", number, "--payload"}).out, ContainsSubstring("secret_of_anna"));
  CHECK_FALSE(world.ask({"show", number}).contains("payload"));
  CHECK_THAT(world.ask({"show", number, "--payload"})["payload"].get<std::string>(),
             ContainsSubstring("secret_of_anna"));
  const Ended none = world.dlq({"show", "99"});
  CHECK(none.code == 1);
  CHECK_THAT(none.err, ContainsSubstring("there is no dead letter 99") && ContainsSubstring("Do: "));
}

TEST_CASE("a plan needs a filter and a reason, prints what it froze, and a dry run freezes nothing",
          "[dlq]") {
  LetterWorld world;
  world.add({.count = 5});
  world.add({.error = "another problem", .count = 2});
  const std::string group = world.group_of(1);
  CHECK_THAT(world.dlq({"replay", "--plan", "--group", group}).err, ContainsSubstring("--reason TEXT"));
  CHECK_THAT(world.dlq(with_reason({"replay", "--plan"})).err,
             ContainsSubstring("--group GROUP") && ContainsSubstring("--all"));
  CHECK_THAT(world.dlq(with_reason({"replay", "--group", group})).err, ContainsSubstring("first --plan"));
  const json dry = world.ask({"replay", "--plan", "--group", group, "--limit", "3", "--dry-run"});
  CHECK(dry["matching"] == 5);
  CHECK(dry["letters"] == 3);
  CHECK(world.db.count("SELECT count(*) FROM cutover.replay_plans") == 0);

  const json plan = world.ask(with_reason({"replay", "--plan", "--group", group, "--limit", "3"}));
  CHECK(plan["letters"] == 3);
  CHECK(plan["state"] == "sealed");
  CHECK(plan["hash"].get<std::string>().size() == 64);
  CHECK(plan["groups"][0]["count"] == 3);
  const Ended shown = world.dlq({"plans", "1"});
  CHECK_THAT(shown.out, ContainsSubstring("plan 1: sealed") && ContainsSubstring("a test") &&
                            ContainsSubstring(group) && ContainsSubstring("cutover dlq replay --execute 1"));
  CHECK_THAT(world.dlq({"plans"}).out, ContainsSubstring("3 waiting"));
  CHECK(world.dlq(with_reason({"replay", "--plan", "--group", "00000000"})).code == 1);
  CHECK(world.dlq({"plans", "9"}).code == 1);
  CHECK(world.dlq(with_reason({"replay", "--execute", "9"})).code == 1);
  CHECK(world.states() == "7 open");
}

TEST_CASE("a plan that touches disputes waits for another operator's approval", "[dlq]") {
  LetterWorld world;
  world.add(
      {.worker = "dispute-processor", .lane = "cases", .stream = "CORE", .event = "security.case_opened"});
  const json plan = world.ask(with_reason({"replay", "--plan", "--all"}));
  CHECK(plan["areas"] == json::array({"disputes"}));
  const std::vector<std::string> execute = with_reason({"replay", "--execute", "1", "--patience", "1s"});
  const Ended refused = world.dlq(execute);
  CHECK(refused.code == 1);
  CHECK_THAT(refused.err,
             ContainsSubstring("plan 1 touches disputes: another operator must approve it first") &&
                 ContainsSubstring("cutover dlq approve"));
  const Ended same = world.dlq(with_reason({"approve", "1"}));
  CHECK(same.code == 1);
  CHECK_THAT(same.err, ContainsSubstring("which is yours"));
  CHECK(world.dlq(execute).code == 1);
  CHECK(world.states() == "1 open");

  // libpq lets PGUSER name the login that the URL leaves out; here the URL has one, so another URL it is.
  const std::string login = "berta_" + std::to_string(::getpid());
  world.db.query("CREATE ROLE " + login + " LOGIN PASSWORD 'x' IN ROLE cutover_operator");
  std::string url = world.db.url();
  const auto from = url.find("://") + 3;
  url.replace(from, url.find('@') - from, login);
  const Process::Environment berta = {{"CUTOVER_POSTGRES_URL", url}, {"CUTOVER_POSTGRES_PASSWORD", "x"}};
  const json approved = world.ask(with_reason({"approve", "1"}), berta);
  INFO(approved.dump(1));
  CHECK(approved["code"] == 0);
  CHECK(approved["approved_login"] == login);
  const Ended begun = world.dlq(execute);
  CHECK(begun.code == 2);  // approved; but nobody works on it here
  CHECK_THAT(begun.out, ContainsSubstring("nothing was settled for 1 s"));
  CHECK(world.states() == "1 replaying");
  // Nobody who is no operator gets so far.
  world.db.query("REVOKE cutover_operator FROM " + login);
  CHECK_THAT(world.dlq({"groups"}, berta).err, ContainsSubstring("error: "));
  world.db.query("DROP OWNED BY " + login);
  world.db.query("DROP ROLE " + login);
}

TEST_CASE("a replay stops when the live lanes suffer", "[dlq]") {
  LetterWorld world;
  world.add({.count = 300});
  REQUIRE(world.dlq(with_reason({"replay", "--plan", "--all"})).code == 0);
  // What the worker's heartbeat says of its live lane.
  const auto live = [&](int p99_ms) {
    world.db.query(
        "INSERT INTO cutover.instances (instance, worker_id, side, build, host, pid, detail) "
        "SELECT 'i', worker_id, 'worker', 'test', 'h', 1, jsonb_build_object('lanes', jsonb_build_object("
        "'contact', jsonb_build_object('p99_ms', $1::integer), 'replay', '{\"p99_ms\": 9000}'::jsonb)) "
        "FROM cutover.workers WHERE worker = 'search-projector' "
        "ON CONFLICT (instance, worker_id) DO UPDATE SET detail = excluded.detail, seen_at = now()",
        {std::to_string(p99_ms)});
  };
  live(20);
  Process replay({kCutover, "dlq", "replay", "--execute", "1", "--rate", "10", "--reason", "a test"},
                 {{"CUTOVER_POSTGRES_URL", world.db.url()}});
  const auto applied_until = [&](const std::string& said) {
    return eventually(
        [&] {
          world.db.query(
              "UPDATE cutover.dead_letters SET state = 'replayed', result = 'applied' WHERE state = "
              "'replaying'");
          return replay.wait_for(said, 50ms);
        },
        60s);
  };
  REQUIRE(applied_until("first 100: 100 replayed"));
  live(400);
  REQUIRE(
      applied_until("stopped: the live lanes suffer: 99 % of their events took 400 ms, and 20 ms before"));
  CHECK(replay.wait().code == 1);
  CHECK(world.db.count("SELECT count(*) FROM cutover.dead_letters WHERE state = 'open'") > 100);
  CHECK(world.db.value("SELECT state FROM cutover.replay_plans") == "stopped");
  CHECK(world.ask({"ls", "--plan", "1"})["matching"] == world.ask({"ls"})["matching"]);
  CHECK(world.ask({"ls", "--plan", "2"})["matching"] == 0);
}

TEST_CASE("dropping more than one letter says how many there are, and wants to hear it", "[dlq]") {
  LetterWorld world;
  world.add({.count = 4});
  const std::string group = world.group_of(1);
  const Ended refused = world.dlq(with_reason({"drop", "--group", group}));
  CHECK(refused.code == 1);
  CHECK_THAT(refused.err, ContainsSubstring("4 letters would be dropped for good") &&
                              ContainsSubstring("--expect 4") &&
                              ContainsSubstring("cutover dlq export FILE --group " + group));
  CHECK(world.dlq(with_reason({"drop", "--group", group, "--expect", "3"})).code == 1);
  CHECK_THAT(world.dlq({"drop", "--group", group, "--dry-run"}).out,
             ContainsSubstring("A dry run: 4 letters"));
  CHECK_THAT(world.dlq({"drop", "--letter", "1"}).err, ContainsSubstring("--reason TEXT"));
  CHECK_THAT(world.dlq(with_reason({"drop"})).err, ContainsSubstring("--letter LETTER"));
  CHECK(world.states() == "4 open");
  CHECK(world.dlq(with_reason({"drop", "--letter", "1"})).code == 0);
  CHECK(world.ask(with_reason({"drop", "--group", group, "--expect", "3"}))["dropped"] == 3);
  CHECK(world.states() == "4 dropped");
  CHECK(world.db.value("SELECT reason || ' ' || (detail ->> 'dropped') FROM cutover.operator_log WHERE "
                       "command = 'dlq drop' ORDER BY log_id DESC LIMIT 1") == "a test 3");
  CHECK(world.dlq(with_reason({"drop", "--letter", "1"})).code == 1);
}

TEST_CASE("an edit is made in the operator's editor; what breaks the envelope is refused with its position",
          "[dlq]") {
  LetterWorld world;
  const Folder folder;
  world.add({.payload = R"({"contact_id":7,"price":1.10})"});
  const std::string right =
      folder.write("right", "#!/bin/sh\nsed -i 's/\"contact_id\": 7/\"contact_id\": 8/' \"$1\"\n", true);
  const std::string wrong =
      folder.write("wrong", "#!/bin/sh\nsed -i 's/\"contact_id\": 7,/\"contact_id\": 7/' \"$1\"\n", true);
  const std::string other =
      folder.write("other", "#!/bin/sh\nsed -i 's/\"event_id\": \"./\"event_id\": \"0/' \"$1\"\n", true);
  const std::string before = world.ask({"show", "1", "--payload"})["payload"];
  const auto edit = [&](const std::string& editor) {
    return world.dlq(with_reason({"edit", "1"}), {{"EDITOR", editor}, {"TMPDIR", folder.path}});
  };
  CHECK_THAT(world.dlq(with_reason({"edit", "1"}), {{"EDITOR", ""}, {"VISUAL", ""}}).err,
             ContainsSubstring("export EDITOR=vi"));
  CHECK_THAT(edit("/bin/true").out, ContainsSubstring("Nothing was changed"));
  CHECK_THAT(edit("/bin/false").err, ContainsSubstring("the editor failed"));

  const Ended broken = edit(wrong);
  INFO(broken.err);
  CHECK(broken.code == 1);
  CHECK_THAT(broken.err, ContainsSubstring("line 22, column 5 of ") &&
                             ContainsSubstring("Nothing was changed") &&
                             ContainsSubstring("--file " + folder.path));
  const Ended another = edit(other);
  CHECK(another.code == 1);
  CHECK_THAT(another.err, ContainsSubstring("event_id is not as it was received") &&
                              ContainsSubstring("is in " + folder.path));
  CHECK(world.ask({"show", "1", "--payload"})["payload"] == before);
  CHECK(world.db.count("SELECT count(*) FROM cutover.operator_log") == 0);

  const Ended done = edit(right);
  INFO(done.out << done.err);
  CHECK(done.code == 0);
  CHECK_THAT(done.out, ContainsSubstring("/payload/contact_id") && ContainsSubstring("never sent again"));
  const json shown = world.ask({"show", "1", "--payload"});
  CHECK(shown["original"] == before);
  std::string expected = before;
  expected.replace(expected.find("\"contact_id\":7"), 14, "\"contact_id\":8");
  CHECK(shown["payload"] == expected);  // numbers and order as they were
  CHECK_THAT(world.dlq({"show", "1", "--payload"}).out, ContainsSubstring("original, never sent again"));
  CHECK(world.db.value("SELECT detail -> 'changes' FROM cutover.operator_log WHERE command = 'dlq edit'") ==
        R"([{"op": "replace", "path": "/payload/contact_id"}])");
  CHECK(world.ask({"ls"})["letters"][0]["edited"] == true);
  std::size_t left = 0;
  for ([[maybe_unused]] const auto& file : std::filesystem::directory_iterator(folder.path))
    left += file.path().filename().string().starts_with("cutover-");
  CHECK(left == 3);  // those of the failed editor and the refused edits, to go on with
}

TEST_CASE("letters are exported byte by byte, and come back after a drop", "[dlq]") {
  LetterWorld world;
  const Folder folder;
  world.add({.count = 1'200});
  world.db.query(
      "UPDATE cutover.dead_letters SET payload = '\\x00ff'::bytea || payload, headers = '[[\"X\", null, "
      "\"/w==\"]]' WHERE letter_id = 7");
  const std::string before = world.db.value(
      "SELECT md5(string_agg(payload::text || headers::text, '' ORDER BY sequence)) FROM "
      "cutover.dead_letters");
  const std::string file = folder.path + "/letters.jsonl";
  const json exported = world.ask({"export", file, "--kind", "rejected"});
  CHECK(exported["letters"] == 1'200);
  CHECK(world.dlq({"export", file}).code == 1);  // it is there
  CHECK((std::filesystem::status(file).permissions() & std::filesystem::perms::others_all) ==
        std::filesystem::perms::none);
  CHECK(world.dlq({"export", "-", "--letter", "7"}).out.find('\n') != std::string::npos);
  REQUIRE(world.dlq(with_reason({"drop", "--kind", "rejected", "--expect", "1200"})).code == 0);

  LetterWorld elsewhere;
  elsewhere.db.query("UPDATE cutover.streams SET created_at = '2026-03-03'");
  CHECK(elsewhere.ask({"import", file, "--dry-run"})["imported"] == 1'200);
  CHECK(elsewhere.states().empty());
  CHECK(elsewhere.ask(with_reason({"import", file}))["imported"] == 1'200);
  CHECK(elsewhere.db.value("SELECT md5(string_agg(payload::text || headers::text, '' ORDER BY sequence)) "
                           "FROM cutover.dead_letters") == before);
  CHECK(elsewhere.states() == "1200 open");
  CHECK(elsewhere.ask(with_reason({"import", file}))["already_here"] == 1'200);
  CHECK(world.ask(with_reason({"import", file}))["opened_again"] == 1'200);
  CHECK(world.states() == "1200 open");

  const std::string text = Folder::read(file);
  const std::string damaged =
      folder.write("damaged", text.substr(0, text.find('\n') + 1) + "{\"cutover_dead_letter\": 1}\n");
  const Ended refused = elsewhere.dlq(with_reason({"import", damaged}));
  CHECK(refused.code == 3);
  CHECK_THAT(refused.err, ContainsSubstring("line 2") && ContainsSubstring("field worker"));
  CHECK_THAT(elsewhere.dlq(with_reason({"import", folder.write("none", "hello\n")})).err,
             ContainsSubstring("no exported dead letter"));
}

TEST_CASE("filters that are none are refused with what to write instead", "[dlq]") {
  LetterWorld world;
  CHECK_THAT(world.dlq({"ls", "--since", "yesterday"}).err,
             ContainsSubstring("2h") && ContainsSubstring("--since"));
  CHECK_THAT(world.dlq({"ls", "--kind", "nope"}).err, ContainsSubstring("cutover dlq ls --help"));
  CHECK(world.dlq({"groups"}).out == "No open dead letter matches.\n");
  CHECK(world.ask({"groups"})["groups"] == json::array());
}
