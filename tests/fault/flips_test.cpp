// Both sides under a steady load, while ownership goes back and forth, processes are killed and the broker
// restarts: each event is applied once, by the side that the segments name for its place. CUTOVER_TEST_SEED
// chooses the schedule; CUTOVER_TEST_LONG makes 60 flips instead of 14.
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <random>
#include <set>
#include <thread>

#include "fault/applied.h"
#include "fault/flip_report.h"
#include "fault/flow.h"
#include "fixtures/waiting.h"

using namespace cutover;
using namespace cutover::test;
using namespace std::chrono_literals;

namespace {

enum class Deed { flip, kill_worker, kill_monolith, restart_broker };

struct Schedule {
  std::size_t events = long_form() ? 180'000 : 15'000;
  int calm_flips = long_form() ? 25 : 5;  // of these, latencies are shown
  int flips = long_form() ? 35 : 9;       // among blows
  int kills = long_form() ? 8 : 1;        // of each side
  int restarts = long_form() ? 3 : 1;
};

unsigned chosen_seed() {
  const char* text = std::getenv("CUTOVER_TEST_SEED");
  return text ? static_cast<unsigned>(std::stoul(text)) : 1;
}

// Shadow of an ordered worker begins with the versions that serving has passed, once everything up to its
// boundary is settled. Flips of this test do not wait for that, so it is done as soon as it may be.
class ShadowSeeds {
 public:
  explicit ShadowSeeds(TestDatabase& db) : db_(db) {}
  void note(const TwoSides::Flip& flip) {
    const bool shadow = flip.mode == Mode::shadow || flip.mode == Mode::canary;
    if (shadow && !in_shadow_) boundaries_.push_back(flip.from_sequence);
    in_shadow_ = shadow;
  }
  void sow() {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_look_) return;
    next_look_ = now + 500ms;
    while (!boundaries_.empty()) {
      const std::string end = std::to_string(boundaries_.front() - 1);
      if (boundaries_.front() > 1 && db_.value("SELECT isempty(cutover.unsettled($1, $2, 1, 1, $3))",
                                               {TwoSides::kWorker, TwoSides::kStream, end}) != "t")
        return;
      db_.query("SELECT cutover.seed_shadow_versions($1)", {TwoSides::kWorker});
      boundaries_.erase(boundaries_.begin());
    }
  }

 private:
  TestDatabase& db_;
  bool in_shadow_ = false;
  std::chrono::steady_clock::time_point next_look_;
  std::vector<std::uint64_t> boundaries_;
};

// Waits until both sides are quiet. Many boundaries make a backlog of an ordered worker slow: what the one side owns waits for what the
// other does. So the limit is for standing still.
bool drained(TwoSides& sides, ShadowSeeds& seeds) {
  constexpr auto kStandstill = 60s;
  std::int64_t settled = 0;
  auto moved = std::chrono::steady_clock::now(), look = moved;
  while (!sides.quiet()) {
    seeds.sow();
    std::this_thread::sleep_for(50ms);
    const auto now = std::chrono::steady_clock::now();
    if (now < look) continue;
    look = now + 5s;
    const std::int64_t sum = sides.db.count(
        "SELECT coalesce(sum((SELECT sum(upper(r) - lower(r)) FROM unnest(t.sequences) r)), 0) FROM cutover.settlements t");
    if (sum > settled) settled = sum, moved = now;
    if (now - moved > kStandstill) return false;
  }
  return true;
}

void run_flips(bool ordered) {
  const unsigned seed = chosen_seed();
  CAPTURE(seed, ordered);
  std::cout << "flips: seed " << seed << (ordered ? ", ordered" : ", unordered") << "\n";
  std::mt19937 random(seed);
  const Schedule plan;

  // The calm part first, then deeds in random order; each at a point of the load.
  std::vector<Deed> deeds(static_cast<std::size_t>(plan.flips), Deed::flip);
  deeds.insert(deeds.end(), static_cast<std::size_t>(plan.kills), Deed::kill_worker);
  deeds.insert(deeds.end(), static_cast<std::size_t>(plan.kills), Deed::kill_monolith);
  deeds.insert(deeds.end(), static_cast<std::size_t>(plan.restarts), Deed::restart_broker);
  std::shuffle(deeds.begin(), deeds.end(), random);
  deeds.insert(deeds.begin(), static_cast<std::size_t>(plan.calm_flips), Deed::flip);

  TwoSides sides({.ordered = ordered});
  ShadowSeeds seeds(sides.db);
  seeds.note(sides.flip(Mode::monolith));
  sides.start_worker();
  sides.start_monolith();
  REQUIRE(eventually(
      [&] { return sides.db.count("SELECT count(DISTINCT side) FROM cutover.instances WHERE ready") == 2; }));
  SteadyLoad load(sides.broker.url(), {.event_name = TwoSides::kEvent, .events = plan.events, .seed = seed});

  std::vector<TwoSides::Flip> calm, flips;
  for (std::size_t i = 0; i < deeds.size(); ++i) {
    const std::size_t slot = load.expected() / (deeds.size() + 1);
    const std::size_t point = slot * (i + 1) - random() % (slot * 3 / 4);
    CAPTURE(i, point);
    REQUIRE(eventually([&] { return seeds.sow(), load.stored() >= point; }, 120s));
    REQUIRE(sides.ended() == "");
    switch (deeds[i]) {
      case Deed::flip: {
        const Mode modes[] = {Mode::monolith, Mode::shadow, Mode::canary,
                              Mode::canary,   Mode::worker, Mode::worker};
        const Mode mode = modes[random() % std::size(modes)];
        auto& into = i < static_cast<std::size_t>(plan.calm_flips) ? calm : flips;
        into.push_back(sides.flip(mode, mode == Mode::canary ? static_cast<int>(random() % 10'001) : 0));
        seeds.note(into.back());
        break;
      }
      case Deed::kill_worker:
        sides.start_worker();
        break;
      case Deed::kill_monolith:
        sides.start_monolith();
        break;
      case Deed::restart_broker:
        sides.servers.command("restart-nats");
        break;
    }
  }
  const std::vector<SentEvent>& sent = load.finish();
  const auto ended = std::chrono::steady_clock::now();
  REQUIRE(sides.broker.connection.wait_connected(std::chrono::steady_clock::now() + 20s));
  CHECK(drained(sides, seeds));
  const std::chrono::duration<double> drain = std::chrono::steady_clock::now() - ended;
  CHECK(sides.ended() == "");

  CHECK(sent.size() == sides.broker.messages(TwoSides::kStream));
  CHECK(faults(sides.db, TwoSides::kWorker, sent, ordered) == std::vector<std::string>());
  const std::vector<std::string> outgoing = sides.outgoing();
  CHECK(outgoing.size() == plan.events);
  CHECK(std::set<std::string>(outgoing.begin(), outgoing.end()).size() == plan.events);
  CHECK(
      sides.db.count(
          "SELECT count(*) FROM cutover.outbox WHERE event_id IS NOT NULL AND subject NOT LIKE 'shadow.%'") ==
      static_cast<std::int64_t>(plan.events));
  CHECK(sides.db.count("SELECT count(*) - count(DISTINCT idempotency_key) FROM shadow.effects") == 0);
  CHECK(sides.db.count("SELECT count(*) FROM cutover.dead_letters") == 0);
  CHECK(sides.db.count("SELECT count(*) FROM cutover.attempts WHERE attempts > 0") == 0);
  const std::string audit = sides.command({"audit", TwoSides::kWorker, "--json"});
  INFO(audit);
  CHECK(audit.substr(0, 2) == "0 ");

  const std::vector<Applied> applied = read_applied(sides.db);
  std::cout << sent.size() << " messages at " << static_cast<int>(load.rate()) << "/s, "
            << std::count_if(applied.begin(), applied.end(),
                             [](const Applied& row) { return row.side == "worker"; })
            << " applied by the worker, "
            << std::count_if(applied.begin(), applied.end(),
                             [](const Applied& row) { return row.side == "monolith"; })
            << " by the monolith; all settled " << drain.count() << " s after the last\n";
  print_durations(std::cout, "undisturbed", calm);
  print_durations(
      std::cout,
      "among " + std::to_string(2 * plan.kills) + " kills and " + std::to_string(plan.restarts) + " restarts",
      flips);
  print_latencies(std::cout, calm, sent, applied, 100ms);
}

}  // namespace

TEST_CASE("each event is applied once, by the side that owns its place", "[fault]") {
  run_flips(false);
}

TEST_CASE("the versions of a key are applied in their order, whoever applies them", "[fault]") {
  run_flips(true);
}
