// Dead letters with everything real: the worker and the monolith as processes, `cutover dlq` as the operator
// gives it.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>
#include <map>

#include <nlohmann/json.hpp>

#include "fault/applied.h"
#include "fault/flow.h"
#include "fault/two_sides.h"
#include "fixtures/process.h"
#include "fixtures/waiting.h"

using namespace cutover;
using namespace cutover::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

namespace {

// Events that the worker refuses until its bug is mended (or for ever: do "refuse").
std::vector<Sending> refused(int from, int count, const std::string& what = "dead", int versions = 1,
                             int copies = 1) {
  std::vector<Sending> all;
  for (int version = 1; version <= versions; ++version)
    for (int i = from; i < from + count; ++i)
      for (int copy = 0; copy < copies; ++copy) {
        EventDraft draft;
        draft.event_name = TwoSides::kEvent;
        draft.subject_id = "refused-" + std::to_string(i);
        draft.subject_version = version;
        draft.idempotency_key = draft.subject_id + ":" + std::to_string(version);
        draft.event_id = uuid_of(draft.idempotency_key + " " + std::to_string(copy));
        draft.payload =
            json{{"do", what}, {"reason", "contact " + std::to_string(i) + " has no owner"}}.dump();
        all.push_back(sending(draft, draft.subject_id));
      }
  return all;
}

struct Letters : TwoSides {
  explicit Letters(Options options) : TwoSides(options) {}

  std::int64_t letters(const std::string& where = "true") {
    return db.count("SELECT count(*) FROM cutover.dead_letters WHERE " + where);
  }
  bool settled() { return quiet() && letters("state = 'replaying'") == 0; }
  // `cutover dlq ...` with a reason; its exit status, a space, and what it said.
  std::string dlq(std::vector<std::string> words) {
    words.insert(words.begin(), "dlq");
    words.insert(words.end(), {"--reason", "a test"});
    return command(words);
  }
  std::map<std::string, std::int64_t> outcomes(int plan) {
    std::map<std::string, std::int64_t> all;
    for (const auto& row : db.query("SELECT coalesce(outcome, 'none'), count(*) FROM cutover.replay_items "
                                    "WHERE plan_id = $1::bigint GROUP BY 1",
                                    {std::to_string(plan)})
                               .rows)
      all[row[0].value()] = std::stoll(row[1].value());
    return all;
  }
  Process::Environment variables() const {
    const auto all = environment();
    return {all.begin(), all.end()};
  }
};

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const auto at = static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<std::size_t>(at)];
}

}  // namespace

TEST_CASE(
    "a plan replays exactly what was sealed, once, though it is killed in the middle and more letters arrive",
    "[fault]") {
  const int count = long_form() ? 10'000 : 1'500, later = count / 2;
  Letters sides({.replays_a_second = 100'000});
  sides.start_worker();
  sides.broker.publish(refused(0, count));
  sides.broker.publish(refused(
      count, 50, "dead", 1, 2));  // the second copy of each: a letter of its own when both are in one batch
  sides.broker.publish(refused(count + 50, 7, "refuse"));
  REQUIRE(eventually([&] { return sides.letters() >= count + 57 && sides.settled(); }, 120s));
  const std::int64_t sealed = sides.letters(),
                     keys =
                         sides.db.count("SELECT count(DISTINCT idempotency_key) FROM cutover.dead_letters");
  const std::string plan = sides.dlq({"replay", "--plan", "--worker", TwoSides::kWorker});
  INFO(plan);
  REQUIRE(plan.substr(0, 2) == "0 ");
  sides.broker.publish(refused(count + 100, later));
  REQUIRE(eventually([&] { return sides.letters() == sealed + later && sides.settled(); }, 120s));

  sides.start_worker(true);
  const std::vector<std::string> execute = {CUTOVER_PROGRAM, "dlq",   "replay", "--execute", "1",
                                            "--reason",      "a test"};
  {
    Program killed(execute, sides.environment(), sides.servers.directory() + "/killed.log");
    REQUIRE(eventually([&] { return sides.effects() > count / 4; }, 120s));
    killed.kill();
  }
  CHECK(sides.db.value("SELECT state FROM cutover.replay_plans") == "running");
  CHECK(sides.outcomes(1)["none"] > 0);
  // On a terminal it shows how far it is.
  Process resumed(
      execute,
      [&] {
        auto all = sides.variables();
        all["TERM"] = "xterm";
        return all;
      }(),
      true);
  const Ended ended = resumed.wait(120s);
  INFO(ended.out);
  CHECK(ended.code == 1);  // some failed again
  CHECK_THAT(ended.out, ContainsSubstring("letters  [") && ContainsSubstring("7 failed again"));
  auto outcomes = sides.outcomes(1);
  CHECK(outcomes["replayed"] == keys - 7);
  CHECK(outcomes["already applied"] == sealed - keys);
  CHECK(outcomes["failed again"] == 7);
  CHECK(outcomes["none"] == 0);
  std::cout << "plan over " << sealed << " letters, " << later << " arrived later: " << outcomes["replayed"]
            << " replayed, " << outcomes["already applied"] << " already applied, "
            << outcomes["failed again"] << " failed again\n";
  CHECK(sides.effects() == keys - 7);
  CHECK(
      sides.db.count(
          "SELECT count(*) FROM (SELECT FROM effects GROUP BY idempotency_key HAVING count(*) > 1) twice") ==
      0);
  CHECK(sides.letters("state = 'open'") == later + 7);
  CHECK(sides.db.value("SELECT DISTINCT jsonb_array_length(history) || ' ' || attempts FROM "
                       "cutover.dead_letters WHERE error LIKE '%has no owner' AND result = 'failed again'") ==
        "2 2");
  REQUIRE(eventually([&] { return sides.quiet(); }, 60s));
  CHECK(sides.outgoing().size() == static_cast<std::size_t>(keys - 7));
}

TEST_CASE(
    "a replay with the bug still there stops at its first letters; mended, it ramps to the cap beside live "
    "traffic",
    "[fault]") {
  const int count = long_form() ? 3'000 : 300;
  Letters sides({.replays_a_second = long_form() ? 100 : 300});
  sides.start_worker();
  sides.broker.publish(refused(0, count));
  REQUIRE(eventually([&] { return sides.letters() == count && sides.settled(); }, 60s));
  const std::string group = sides.db.value("SELECT group_id FROM cutover.dead_letters LIMIT 1");
  CHECK(sides.db.count("SELECT count(DISTINCT group_id) FROM cutover.dead_letters") == 1);
  REQUIRE(sides.dlq({"replay", "--plan", "--group", group}).substr(0, 2) == "0 ");
  const std::string stopped = sides.dlq({"replay", "--execute", "1"});
  std::cout << stopped;
  CHECK(stopped.substr(0, 2) == "1 ");
  CHECK_THAT(stopped, ContainsSubstring("stopped: 1 of 1 failed again: 100.0 %, at most 10 %") &&
                          ContainsSubstring("group " + group));
  CHECK(sides.outcomes(1)["failed again"] == 1);
  CHECK(sides.letters("state = 'open'") == count);

  sides.start_worker(true);
  const double per_second = long_form() ? 2'000 : 500;
  const std::size_t events = static_cast<std::size_t>(per_second * (long_form() ? 60 : 6));
  SteadyLoad load(sides.broker.url(), {.event_name = TwoSides::kEvent,
                                       .events = events,
                                       .per_second = per_second,
                                       .subjects = 500,
                                       .copies = 0});
  REQUIRE(eventually([&] { return load.stored() > events / 3; }, 60s));
  const auto began = std::chrono::system_clock::now();
  const std::string done = sides.dlq({"replay", "--execute", "1"});
  const auto ended = std::chrono::system_clock::now();
  std::cout << done;
  CHECK(done.substr(0, 2) == "1 ");  // the one that failed at first is not of this run's letters
  CHECK_THAT(done, ContainsSubstring("first 1: 1 replayed") && ContainsSubstring("first 10: 10 replayed") &&
                       ContainsSubstring("first 100: 100 replayed"));
  CHECK(sides.outcomes(1)["replayed"] == count - 1);
  const auto sent = load.finish();
  REQUIRE(eventually([&] { return sides.effects() == count - 1 + static_cast<std::int64_t>(events); }, 60s));

  // Printed, not decided: it is the machine's figure as much as the replay's.
  // Latency of live events, sent to committed: before, when the worker had been running for a while, and
  // meanwhile.
  const std::chrono::seconds steady(long_form() ? 15 : 1);
  std::map<std::string, std::chrono::system_clock::time_point> at;
  for (const SentEvent& event : sent) at[event.idempotency_key()] = event.at;
  std::vector<double> before, meanwhile;
  for (const Applied& applied : read_applied(sides.db)) {
    const auto found = at.find(applied.idempotency_key);
    if (found == at.end()) continue;
    const double ms = std::chrono::duration<double, std::milli>(applied.committed - found->second).count();
    if (found->second > began && found->second < ended) meanwhile.push_back(ms);
    if (found->second < began && found->second > began - steady) before.push_back(ms);
  }
  const double p99_before = percentile(before, 0.99), p99 = percentile(meanwhile, 0.99);
  std::cout << "live lanes, 99 % of events within: " << p99_before << " ms before (" << before.size()
            << " events), " << p99 << " ms during the replay (" << meanwhile.size() << " events, "
            << std::chrono::duration<double>(ended - began).count()
            << " s): " << std::lround(100 * (p99 / p99_before - 1)) << " % more\n";
}

TEST_CASE("several letters of one key are replayed in their original order", "[fault]") {
  Letters sides({.replays_a_second = 1'000});
  sides.start_worker();
  sides.broker.publish(refused(0, 40, "dead", 5));
  REQUIRE(eventually([&] { return sides.letters() == 200 && sides.settled(); }, 60s));
  sides.start_worker(true);
  REQUIRE(sides.dlq({"replay", "--plan", "--all"}).substr(0, 2) == "0 ");
  const std::string done = sides.dlq({"replay", "--execute", "1"});
  INFO(done);
  CHECK(done.substr(0, 2) == "0 ");
  std::map<std::string, std::string> order;
  for (const Applied& applied : read_applied(sides.db)) order[applied.key] += std::to_string(applied.version);
  CHECK(order.size() == 40);
  for (const auto& [key, versions] : order) CHECK(versions == "12345");
}

TEST_CASE("handed over after a reverse, a letter is applied by the monolith", "[fault]") {
  Letters sides({});
  sides.flip(Mode::worker);
  sides.start_worker();
  sides.start_monolith();
  sides.broker.publish(refused(0, 25));
  REQUIRE(eventually([&] { return sides.letters() == 25 && sides.settled(); }, 60s));
  sides.flip(Mode::monolith);
  const std::string plan = sides.dlq({"replay", "--plan", "--to-owner", "--all"});
  INFO(plan);
  REQUIRE(plan.substr(0, 2) == "0 ");
  CHECK_THAT(plan, ContainsSubstring("hands letters over to whoever owns new events now"));
  const std::string done = sides.dlq({"replay", "--execute", "1"});
  std::cout << done;
  CHECK(done.substr(0, 2) == "0 ");
  CHECK_THAT(done, ContainsSubstring("25 handed over"));
  REQUIRE(eventually([&] { return sides.effects("side = 'monolith'") == 25 && sides.quiet(); }, 60s));
  CHECK(sides.effects() == 25);
  CHECK(sides.letters("state = 'handed over'") == 25);
  CHECK_THAT(sides.command({"dlq", "show", "1"}), ContainsSubstring("dead letter 1: handed over"));
  CHECK(sides.ended() == "");
}

TEST_CASE("the monolith's own letters are replayed to it", "[fault]") {
  Letters sides({});
  sides.flip(Mode::monolith);
  sides.start_monolith();
  sides.start_relay();
  sides.broker.publish(Sending{"contact.edge_upserted", "{ no event", "m-1", {{"Cutover-Key", "s1"}}});
  REQUIRE(eventually([&] { return sides.letters("side = 'monolith' AND kind = 'malformed'") == 1; }, 60s));
  EventDraft right;
  right.event_name = TwoSides::kEvent;
  right.subject_id = "s1";
  const std::string file = sides.servers.directory() + "/right.json";
  std::ofstream(file) << right.text() << "\n";
  const std::string edited = sides.dlq({"edit", "1", "--file", file});
  INFO(edited);
  REQUIRE(edited.substr(0, 2) == "0 ");
  REQUIRE(sides.dlq({"replay", "--plan", "--letter", "1"}).substr(0, 2) == "0 ");
  const std::string done = sides.dlq({"replay", "--execute", "1"});
  INFO(done);
  CHECK(done.substr(0, 2) == "0 ");
  CHECK(sides.effects("side = 'monolith'") == 1);
}

TEST_CASE("exported, dropped, imported elsewhere and replayed, a message has its bytes and headers",
          "[fault]") {
  Letters sides({});
  sides.start_worker();
  std::string bytes("{\"broken\": \x00\xff\x01", 14);
  const std::vector<std::pair<std::string, std::string>> headers = {
      {"X-Plain", "one"},
      {"X-Plain", "two"},
      {"X-Bytes", "\xff\xfe"},
      {"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}};
  sides.broker.publish(Sending{"contact.edge_upserted", bytes, "m-1", headers});
  REQUIRE(eventually([&] { return sides.letters() == 1 && sides.settled(); }, 60s));
  sides.kill_worker();
  const std::string file = sides.servers.directory() + "/letters.jsonl";
  CHECK(sides.command({"dlq", "export", file}).substr(0, 2) == "0 ");
  CHECK(sides.dlq({"drop", "--letter", "1"}).substr(0, 2) == "0 ");

  TestDatabase elsewhere(sides.servers.addresses().pg_url);
  auto environment = sides.environment();
  environment[1].second = elsewhere.url();
  const auto there = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {CUTOVER_PROGRAM, "dlq"});
    words.insert(words.end(), {"--reason", "a test"});
    return run(words, {environment.begin(), environment.end()});
  };
  Program relay({CUTOVER_PROGRAM, "relay"}, environment, sides.servers.directory() + "/relay-elsewhere.log");
  CHECK(there({"import", file}).code == 0);
  CHECK(there({"replay", "--plan", "--all"}).code == 0);
  CHECK(there({"replay", "--execute", "1", "--patience", "1s"}).code == 2);  // nobody works there
  std::optional<StoredMessage> replayed;
  REQUIRE(eventually(
      [&] {
        return (replayed = sides.broker.last("REPLAY", "replay.search-projector.worker.contact")).has_value();
      },
      30s));
  CHECK(replayed->data == bytes);
  for (const std::string name : {"X-Plain", "X-Bytes", "traceparent"}) {
    const auto of = [&](const std::vector<std::pair<std::string, std::string>>& all) {
      std::vector<std::string> values;
      for (const auto& [key, value] : all)
        if (key == name) values.push_back(value);
      return values;
    };
    CHECK(of(replayed->headers) == of(headers));
  }
  CHECK(replayed->header("Cutover-Origin-Event-Id") == "m-1");
}
