#include "runtime/policy/guards.h"

#include <algorithm>
#include <functional>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace cutover;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

const Instant kNow = Instant(std::chrono::sys_days(std::chrono::year(2026) / 3 / 1));

GuardLimits limits() {
  GuardLimits l;
  l.order = {"score-orchestrator", "search-projector", "dispute-processor"};
  return l;
}

// A worker that may be switched: nothing is wrong with it.
GuardFacts fine() {
  GuardFacts f;
  f.worker = "search-projector";
  f.build = "1.0.0";
  f.schema_needed = 8;
  f.schema_version = 8;
  f.vectors = "abc";
  f.now = kNow;
  f.standing = {Stage::canary, 1'000, 3, kNow - 24h};
  f.others = {{"score-orchestrator", {Stage::worker, 0, 4, kNow - 72h}}};
  f.instances = {{"w-1", "1.0.0", true, true, 1s, ""}};
  f.gates = {{"m-1", "mono", true, true, 60s, "abc"}};
  f.parity = ParityFact{"ok", 23h, 1'000, "1.0.0", 8};
  f.pending = 10;
  f.drain_seconds = 10.0;
  f.outbox_waiting = 1'000;
  f.topology_difference = "";
  f.streams = {{"CORE", StreamFact::Life::same}};
  f.monolith_unsettled = 0;
  return f;
}

std::vector<std::string> stopping(Step step, const GuardFacts& facts) {
  std::vector<std::string> names;
  for (const Guard& guard : guards_of(step, facts, limits()))
    if (guard.stops()) names.push_back(guard.name);
  return names;
}

struct Trip {
  std::string guard;
  std::string found;  // in the guard's text
  std::function<void(GuardFacts&)> spoil;
};

// Each makes one guard of a switch refuse, and no other one.
std::vector<Trip> trips() {
  return {
      {"order_of_stages", "canary comes first", [](GuardFacts& f) { f.standing.stage = Stage::shadow; }},
      {"order_of_stages", "shadow comes first", [](GuardFacts& f) { f.standing.stage = Stage::monolith; }},
      {"order_of_stages", "complete", [](GuardFacts& f) { f.standing.stage = Stage::complete; }},
      {"order_of_workers", "score-orchestrator", [](GuardFacts& f) { f.others.clear(); }},
      {"order_of_workers", "canary", [](GuardFacts& f) { f.others[0].second.stage = Stage::canary; }},
      {"stable_72h", "71 h of 72 h", [](GuardFacts& f) { f.others[0].second.since = kNow - 72h + 1s; }},
      {"worker_alive", "no instance runs", [](GuardFacts& f) { f.instances.clear(); }},
      {"worker_alive", "is gone", [](GuardFacts& f) { f.instances[0].alive = false; }},
      {"worker_alive", "is not ready", [](GuardFacts& f) { f.instances[0].ready = false; }},
      {"worker_alive", "build 0.9", [](GuardFacts& f) { f.instances[0].build = "0.9"; }},
      {"parity", "no verdict", [](GuardFacts& f) { f.parity.reset(); }},
      {"parity", "different", [](GuardFacts& f) { f.parity->verdict = "different"; }},
      {"parity", "inconclusive", [](GuardFacts& f) { f.parity->verdict = "inconclusive"; }},
      {"parity", "older than 24 h", [](GuardFacts& f) { f.parity->age = 24h; }},
      {"parity", "999 samples of 1000", [](GuardFacts& f) { f.parity->samples = 999; }},
      {"parity", "for build 0.9", [](GuardFacts& f) { f.parity->build = "0.9"; }},
      {"parity", "schema version 6", [](GuardFacts& f) { f.parity->schema_version = 6; }},
      {"lag", "10.1 s to drain", [](GuardFacts& f) { f.drain_seconds = 10.1; }},
      {"lag", "does not say", [](GuardFacts& f) { f.drain_seconds.reset(); }},
      {"dead_letters", "1 open", [](GuardFacts& f) { f.dead_letters = 1; }},
      {"outbox", "1001 rows", [](GuardFacts& f) { f.outbox_waiting = 1'001; }},
      {"topology", "CORE: max_age", [](GuardFacts& f) { f.topology_difference = "CORE: max_age 1d -> 2d"; }},
      {"topology", "does not answer", [](GuardFacts& f) { f.topology_difference.reset(); }},
      {"schema", "this build needs", [](GuardFacts& f) { f.schema_needed = f.schema_version + 1; }},
      {"vectors", "m-1 has none", [](GuardFacts& f) { f.gates[0].vectors = ""; }},
      {"vectors", "m-1 has xyz", [](GuardFacts& f) { f.gates[0].vectors = "xyz"; }},
      {"incarnation", "created anew: CORE",
       [](GuardFacts& f) { f.streams[0].life = StreamFact::Life::recreated; }},
      {"incarnation", "not there: CORE",
       [](GuardFacts& f) { f.streams[0].life = StreamFact::Life::missing; }},
      {"incarnation", "does not answer", [](GuardFacts& f) { f.streams.clear(); }},
  };
}

}  // namespace

TEST_CASE("a worker that nothing is wrong with may be switched", "[guards]") {
  CHECK(stopping(Step::switch_over, fine()).empty());
  GuardFacts shadowed = fine();
  shadowed.standing.stage = Stage::shadow;
  CHECK(stopping(Step::canary, shadowed).empty());
}

TEST_CASE("each guard is tripped by its own fault alone, says what it found and what to do", "[guards]") {
  const std::vector<Trip> all = trips();
  const Trip& trip = all[GENERATE_REF(range(std::size_t{0}, all.size()))];
  INFO(trip.guard << ": " << trip.found);
  GuardFacts facts = fine();
  trip.spoil(facts);
  CHECK(stopping(Step::switch_over, facts) == std::vector{trip.guard});
  for (const Guard& guard : guards_of(Step::switch_over, facts, limits())) {
    if (guard.name != trip.guard) continue;
    CHECK_THAT(guard.text, ContainsSubstring(trip.found));
    CHECK_FALSE(guard.what_to_do.empty());
  }
}

TEST_CASE("a gate that was not seen for a minute stops, and there is nothing to compare its vectors with",
          "[guards]") {
  GuardFacts facts = fine();
  facts.gates[0].seen_ago = 61s;
  CHECK(stopping(Step::switch_over, facts) == std::vector<std::string>{"gate", "vectors"});
  facts.gates.clear();
  CHECK(stopping(Step::switch_over, facts) == std::vector<std::string>{"gate", "vectors"});
}

TEST_CASE("vectors of an instance that is long gone do not count, those of every present one do",
          "[guards]") {
  GuardFacts facts = fine();
  facts.gates.push_back({"m-old", "mono", false, false, 1h, "xyz"});
  CHECK(stopping(Step::switch_over, facts).empty());
  facts.gates.push_back({"m-2", "mono", true, true, 5s, "xyz"});
  CHECK(stopping(Step::switch_over, facts) == std::vector<std::string>{"vectors"});
}

TEST_CASE("a guard is forced by its name, and only the one that was named", "[guards]") {
  const std::vector<Trip> all = trips();
  const Trip& trip = all[GENERATE_REF(range(std::size_t{0}, all.size()))];
  GuardFacts facts = fine();
  trip.spoil(facts);
  facts.dead_letters = 1;
  auto guards = guards_of(Step::switch_over, facts, limits());
  const std::vector<std::string> names = {trip.guard};
  const auto used = force(guards, names);
  const bool unforceable = trip.guard == "gate" || trip.guard == "vectors" || trip.guard == "incarnation";
  for (const Guard& guard : guards) {
    if (guard.name == trip.guard) CHECK(guard.stops() == unforceable);
    if (guard.name == "dead_letters" && trip.guard != "dead_letters") CHECK(guard.stops());
  }
  CHECK(used == (unforceable ? std::vector<std::string>{} : names));
}

TEST_CASE("gate, vectors and incarnation cannot be forced, everything else can", "[guards]") {
  std::vector<std::string> unforceable;
  for (const std::string_view name : guard_names())
    if (!is_forceable(name)) unforceable.emplace_back(name);
  CHECK(unforceable == std::vector<std::string>{"gate", "vectors", "incarnation"});

  GuardFacts facts = fine();
  facts.gates.clear();
  facts.streams[0].life = StreamFact::Life::recreated;
  auto guards = guards_of(Step::switch_over, facts, limits());
  CHECK(force(guards, unforceable).empty());
  CHECK(std::count_if(guards.begin(), guards.end(), [](const Guard& g) { return g.stops(); }) == 3);
}

TEST_CASE("forcing a guard that passes is not recorded as a force", "[guards]") {
  auto guards = guards_of(Step::switch_over, fine(), limits());
  CHECK(force(guards, std::vector<std::string>{"parity"}).empty());
}

TEST_CASE("reverse is stopped by nothing but completion", "[guards]") {
  GuardFacts facts;
  facts.worker = "search-projector";
  for (const Stage stage : {Stage::monolith, Stage::shadow, Stage::canary, Stage::worker}) {
    facts.standing.stage = stage;
    CHECK(stopping(Step::reverse, facts).empty());
  }
  facts.standing.stage = Stage::complete;
  CHECK(stopping(Step::reverse, facts) == std::vector<std::string>{"order_of_stages"});
}

TEST_CASE("shadow needs no worker, no gate and no verdict, but the right streams", "[guards]") {
  GuardFacts facts = fine();
  facts.standing = {};
  facts.instances.clear();
  facts.gates.clear();
  facts.parity.reset();
  facts.others.clear();
  CHECK(stopping(Step::shadow_start, facts).empty());
  facts.streams[0].life = StreamFact::Life::recreated;
  CHECK(stopping(Step::shadow_start, facts) == std::vector<std::string>{"incarnation"});
  facts = fine();
  CHECK(stopping(Step::shadow_start, facts) == std::vector<std::string>{"order_of_stages"});
  CHECK(stopping(Step::shadow_stop, facts) == std::vector<std::string>{"order_of_stages"});
}

TEST_CASE("complete needs 72 h at 100 % and a monolith with nothing left", "[guards]") {
  GuardFacts facts = fine();
  facts.standing = {Stage::worker, 0, 5, kNow - 72h};
  CHECK(stopping(Step::complete, facts).empty());
  facts.standing.since = kNow - 72h + 1s;
  CHECK(stopping(Step::complete, facts) == std::vector<std::string>{"stable_72h"});
  facts.standing.since = kNow - 73h;
  facts.monolith_unsettled = 1;
  CHECK(stopping(Step::complete, facts) == std::vector<std::string>{"unsettled"});
  facts.monolith_unsettled.reset();
  CHECK(stopping(Step::complete, facts) == std::vector<std::string>{"unsettled"});
  facts = fine();
  CHECK(stopping(Step::complete, facts) == std::vector<std::string>{"order_of_stages", "stable_72h"});
}

TEST_CASE("the first worker of the order and one that is not on it wait for nobody", "[guards]") {
  GuardFacts facts = fine();
  facts.others.clear();
  for (const char* worker : {"score-orchestrator", "profile-counter"}) {
    facts.worker = worker;
    CHECK(stopping(Step::switch_over, facts).empty());
  }
}

TEST_CASE("a percentage has at most two decimals and lies between 0.01 and 100", "[stages]") {
  CHECK(parse_percent("10") == 1'000);
  CHECK(parse_percent("12.5") == 1'250);
  CHECK(parse_percent("0.01") == 1);
  CHECK(parse_percent("100") == 10'000);
  for (const char* wrong :
       {"", "0", "0.00", "100.01", "1.234", "-1", "ten", "1e1", "1.", ".5", "10 ", "+5", "1.-5"})
    CHECK_FALSE(parse_percent(wrong));
  CHECK(percent_text(1'250) == "12.5");
  CHECK(percent_text(1) == "0.01");
  CHECK(percent_text(10'000) == "100");
}
