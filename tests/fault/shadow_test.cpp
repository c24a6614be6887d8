// Chains of events and timers in shadow: what a worker sends there comes back to it by stream SHADOW, and to nobody else.
#include <catch2/catch_test_macros.hpp>

#include "fault/two_sides.h"
#include "fixtures/waiting.h"

using namespace cutover;
using namespace cutover::test;
using namespace std::chrono_literals;

namespace {

constexpr int kHops = 3;

// Events that each lead to `kHops` more, one after the other, the last of them by a timer.
void send(TwoSides& sides, const std::string& name, int count, int timer_ms = 50) {
  std::vector<Sending> messages;
  for (int i = 0; i < count; ++i) {
    EventDraft event;
    event.event_name = TwoSides::kEvent;
    event.subject_id = "s" + std::to_string(i);
    event.subject_version = 0;
    event.idempotency_key = name + " " + std::to_string(i);
    event.payload = R"({"hops":)" + std::to_string(kHops) + R"(,"timer_ms":)" + std::to_string(timer_ms) + "}";
    messages.push_back(sending(event, event.subject_id));
  }
  sides.broker.publish(messages);
}

std::int64_t in_shadow(TwoSides& sides) { return sides.db.count("SELECT count(*) FROM shadow.effects"); }

// The keys of a run of `send`, without its name, with how often each was applied.
std::string outcome(TwoSides& sides, const std::string& table, const std::string& name) {
  return sides.db.value("SELECT string_agg(line, ', ' ORDER BY line) FROM (SELECT substr(idempotency_key, length($1) + 2) || ' x' || count(*) AS line "
                        "FROM " + table + " WHERE starts_with(idempotency_key, $1 || ' ') GROUP BY idempotency_key) l", {name});
}

bool twin_idle(TwoSides& sides) { return sides.broker.consumer("SHADOW", TwoSides::kWorker + "-shadow_contact").idle(); }

std::int64_t waiting(TwoSides& sides) { return sides.db.count("SELECT count(*) FROM cutover.outbox WHERE published_at IS NULL"); }

}  // namespace

TEST_CASE("a chain of events and timers runs in shadow as it runs live, and serving sees nothing of it", "[fault]") {
  TwoSides sides;
  sides.flip(Mode::shadow);
  sides.start_worker();
  send(sides, "first", 20);
  REQUIRE(eventually([&] { return in_shadow(sides) == 20 * (kHops + 1) && waiting(sides) == 0 && twin_idle(sides); }));
  CHECK(sides.effects() == 0);
  CHECK(sides.broker.last_sequence(TwoSides::kStream) == 20);
  CHECK(sides.db.count("SELECT count(*) FROM cutover.settlements WHERE side <> 's'") == 0);

  sides.flip(Mode::worker);
  send(sides, "second", 20);
  REQUIRE(eventually([&] { return sides.effects() == 20 * (kHops + 1) && sides.quiet(); }));
  CHECK(outcome(sides, "shadow.effects", "first") == outcome(sides, "public.effects", "second"));
  CHECK(in_shadow(sides) == 20 * (kHops + 1));
  CHECK(sides.ended() == "");
}

TEST_CASE("in a canary the share of the worker runs live and in shadow, each by its own chain", "[fault]") {
  TwoSides sides;
  sides.flip(Mode::shadow);
  sides.flip(Mode::canary, 10'000);
  sides.start_worker();
  send(sides, "all", 10);
  REQUIRE(eventually([&] {
    return sides.effects() == 10 * (kHops + 1) && in_shadow(sides) == 10 * (kHops + 1) && sides.quiet() && twin_idle(sides);
  }));
  CHECK(outcome(sides, "shadow.effects", "all") == outcome(sides, "public.effects", "all"));
  CHECK(sides.ended() == "");
}

TEST_CASE("what is left of a shadow period has no effect after it, nor in a later one", "[fault]") {
  TwoSides sides;
  sides.flip(Mode::shadow);
  sides.start_worker();
  send(sides, "old", 10, 3'000);
  // The timers wait, and go off when the worker is switched.
  REQUIRE(eventually([&] { return in_shadow(sides) == 10 * kHops && waiting(sides) == 10; }));
  sides.flip(Mode::worker);
  const std::uint64_t before = sides.broker.last_sequence("SHADOW");
  REQUIRE(eventually([&] { return sides.broker.last_sequence("SHADOW") == before + 10 && waiting(sides) == 0; }));
  sides.flip(Mode::monolith);
  sides.flip(Mode::shadow);
  send(sides, "new", 10);
  REQUIRE(eventually([&] { return in_shadow(sides) == 10 * kHops + 10 * (kHops + 1) && waiting(sides) == 0 && twin_idle(sides); }));
  CHECK(outcome(sides, "shadow.effects", "old").find("/1 ") == std::string::npos);
  CHECK(sides.effects() == 0);
  CHECK(sides.db.count("SELECT count(*) FROM cutover.settlements WHERE side <> 's'") == 0);
  CHECK(sides.ended() == "");
}
