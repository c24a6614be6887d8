// What throws: one event, every event, the dependency, the other transaction, the worker itself.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "fixtures/engine_rig.h"
#include "fixtures/waiting.h"

using namespace cutover;
using namespace cutover::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

constexpr const char* kThrow = R"({"do":"throw","reason":"cannot do 17"})";

// Events 1..count; those in `bad` do what `payload` says.
std::vector<Message> batch(EngineRig& rig, int count, std::vector<int> bad, const std::string& payload = kThrow, std::uint64_t delivery = 1) {
  std::vector<Message> messages;
  for (int n = 1; n <= count; ++n) {
    const bool fails = std::find(bad.begin(), bad.end(), n) != bad.end();
    messages.push_back(rig.delivery(EngineRig::event(n, fails ? payload : "{}"), static_cast<std::uint64_t>(n), delivery));
  }
  return messages;
}

}  // namespace

TEST_CASE("one poisoned event in a batch of 256: the other 255 commit, in a logarithmic number of transactions", "[engine]") {
  EngineRig rig;
  const int bad = 100;
  rig.process(batch(rig, 256, {bad}));
  CHECK(rig.db.count("SELECT count(*) FROM effects") == 255);
  CHECK(rig.source.acks() == 255);
  CHECK(rig.attempts(bad) == 1);
  CHECK(rig.batches.size() == 17);  // the whole, and two halves of each of 8 sizes
  CHECK(rig.source.answers(bad).naks.size() == 1);
  CHECK(rig.db.value("SELECT last_error FROM cutover.attempts") == "cannot do 17");

  for (std::uint64_t delivery = 2; delivery <= 4; ++delivery) rig.process(rig.delivery(EngineRig::event(bad, kThrow), bad, delivery));
  CHECK(rig.letter("kind || ' ' || attempts || ' ' || error", bad) == "transient 4 cannot do 17");
  CHECK(rig.source.answers(bad, 4).acks == 1);
  CHECK(rig.db.count("SELECT count(*) FROM effects") == 255);
  CHECK(rig.db.count("SELECT count(*) FROM cutover.attempts") == 0);
  CHECK(rig.db.count("SELECT count(*) FROM cutover.started") == 0);
}

TEST_CASE("several poisoned events do not keep the others back", "[engine]") {
  EngineRig rig;
  rig.process(batch(rig, 64, {1, 2, 33, 64}));
  CHECK(rig.db.count("SELECT count(*) FROM effects") == 60);
  CHECK(rig.source.acks() == 60);
  CHECK(rig.db.value("SELECT string_agg(sequence || ' ' || attempts, ', ' ORDER BY sequence) FROM cutover.attempts") == "1 1, 2 1, 33 1, 64 1");
}

TEST_CASE("a statement that fails poisons only its event", "[engine]") {
  EngineRig rig;
  rig.process(batch(rig, 8, {5}, R"({"do":"sql"})"));
  CHECK(rig.db.count("SELECT count(*) FROM effects") == 7);
  CHECK_THAT(rig.db.value("SELECT last_error FROM cutover.attempts"), ContainsSubstring("division by zero"));
}

TEST_CASE("what is thrown need not be an exception of the standard library", "[engine]") {
  EngineRig rig;
  rig.process(batch(rig, 4, {2}, R"({"do":"throw_number"})"));
  CHECK(rig.db.count("SELECT count(*) FROM effects") == 3);
  CHECK(rig.attempts(2) == 1);
}

TEST_CASE("a poisoned event and its duplicate in one batch: one effect when it recovers", "[engine]") {
  EngineRig rig;
  EventDraft first = EngineRig::event(1, kThrow), copy = EngineRig::event(1);
  copy.event_id = uuid_of("the same work, sent again");
  std::vector<Message> messages;
  messages.push_back(rig.delivery(first, 1));
  messages.push_back(rig.delivery(copy, 2));
  rig.process(std::move(messages));
  CHECK(rig.effects(1) == 1);
  CHECK(rig.source.acks() == 2);
  CHECK(rig.db.count("SELECT count(*) FROM cutover.attempts") == 0);
}

TEST_CASE("when everything fails it is the dependency: nothing counts, for three rounds", "[engine]") {
  EngineRig rig;
  const std::vector<int> all{1, 2, 3, 4};
  for (std::uint64_t round = 1; round <= 3; ++round) {
    rig.process(batch(rig, 4, all, kThrow, round));
    CHECK(rig.db.count("SELECT count(*) FROM cutover.attempts WHERE attempts > 0") == 0);
    for (std::uint64_t n = 1; n <= 4; ++n) {
      REQUIRE(rig.source.answers(n, round).naks.size() == 1);
      CHECK(rig.source.answers(n, round).naks.front() >= 1s);
    }
  }
  // It answers all the while: so it is the events after all.
  rig.process(batch(rig, 4, all, kThrow, 4));
  CHECK(rig.db.value("SELECT string_agg(attempts::text, ' ') FROM cutover.attempts") == "1 1 1 1");
  CHECK(rig.db.count("SELECT count(*) FROM effects") == 0);
}

TEST_CASE("a success in between begins the rounds anew", "[engine]") {
  EngineRig rig;
  for (std::uint64_t round = 1; round <= 3; ++round) rig.process(batch(rig, 2, {1, 2}, kThrow, round));
  rig.process(rig.delivery(EngineRig::event(9), 9));
  rig.process(batch(rig, 2, {1, 2}, kThrow, 4));
  CHECK(rig.db.count("SELECT count(*) FROM cutover.attempts WHERE attempts > 0") == 0);
}

TEST_CASE("a missing table is refused and named, and no event is blamed", "[engine]") {
  EngineRig rig;
  CHECK_THROWS_MATCHES(rig.process(batch(rig, 4, {1, 2, 3, 4}, R"({"do":"missing"})")), ClaimRefused,
                       MessageMatches(ContainsSubstring("no_such_table")));
  CHECK(rig.left.size() == 4);
  CHECK(rig.db.count("SELECT count(*) FROM cutover.attempts WHERE attempts > 0") == 0);
  CHECK(rig.db.count("SELECT count(*) FROM cutover.dead_letters") == 0);
}

TEST_CASE("a conflict is tried again whole and counts for nobody", "[engine]") {
  EngineRig rig;
  rig.process(batch(rig, 8, {3}, R"({"do":"conflict","until":2})"));
  CHECK(rig.batches == std::vector<std::size_t>{8, 8, 8});
  CHECK(rig.db.count("SELECT count(*) FROM effects") == 8);
  CHECK(rig.db.count("SELECT count(*) FROM cutover.attempts") == 0);
}

TEST_CASE("a conflict that never ends is split down to its event, which counts", "[engine]") {
  EngineRig rig;
  rig.process(batch(rig, 4, {3}, R"({"do":"conflict"})"));
  CHECK(rig.db.count("SELECT count(*) FROM effects") == 3);
  CHECK(rig.attempts(3) == 1);
}

TEST_CASE("a worker that returns too few verdicts fails its events, not the others", "[engine]") {
  EngineRig rig;
  rig.process(batch(rig, 4, {2}, R"({"do":"short"})"));
  CHECK(rig.db.count("SELECT count(*) FROM effects") == 3);
  CHECK(rig.db.value("SELECT last_error FROM cutover.attempts") == "worker test-worker returned 0 verdicts for 1 events");
}

TEST_CASE("a database that is away throws, leaves the batch as it was, and counts nothing", "[engine]") {
  EngineRig rig;
  rig.process(batch(rig, 1, {}));
  rig.script.on_batch = [&](std::span<const Event>) {
    rig.db.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'engine rig' AND datname = current_database()");
  };
  rig.restart();
  CHECK_THROWS_AS(rig.process(batch(rig, 4, {})), DependencyDown);
  CHECK(rig.left.size() == 4);
  CHECK(rig.db.count("SELECT count(*) FROM effects") == 1);
  CHECK(rig.db.count("SELECT count(*) FROM cutover.attempts") == 0);
  rig.script.on_batch = nullptr;
  rig.restart();
  std::vector<Message> again = std::move(rig.left);
  rig.process(std::move(again));
  CHECK(rig.db.count("SELECT count(*) FROM effects") == 4);
}

TEST_CASE("a table that changes under a running worker costs a reconnect, not an event", "[engine]") {
  class Reader final : public Worker {
   public:
    std::vector<Verdict> handle(std::span<const Event> events, Transaction& tx) override {
      tx.query("SELECT * FROM public.effects");
      return std::vector<Verdict>(events.size(), Done{});
    }
  };
  EngineRig rig({}, std::make_unique<Reader>());
  rig.process(batch(rig, 2, {}));
  rig.db.query("ALTER TABLE public.effects ADD COLUMN more text");
  auto settled = [&](std::vector<Message> messages) {
    try {
      rig.process(std::move(messages));
      return true;
    } catch (const DependencyDown&) {  // as the loop does: the connection is opened again
      std::vector<Message> again = std::move(rig.left);
      rig.process(std::move(again));
      return true;
    }
  };
  CHECK(settled(batch(rig, 4, {})));
  CHECK(rig.source.acks() == 6);
  CHECK(rig.db.count("SELECT count(*) FROM cutover.attempts") == 0);
}

TEST_CASE("messages whose time ran out before their batch are dropped unworked", "[engine]") {
  EngineRig rig;
  std::vector<Message> messages;
  messages.push_back(rig.delivery(EngineRig::event(1), 1));
  rig.clock.advance(20s);
  messages.push_back(rig.delivery(EngineRig::event(2), 2));
  rig.clock.advance(11s);  // ack_wait is 30 s
  rig.process(std::move(messages));
  CHECK(rig.effects(1) == 0);
  CHECK(rig.effects(2) == 1);
  CHECK(rig.source.answers(1).acks == 0);
  CHECK(rig.source.answers(1).naks.empty());
  CHECK(rig.lane.metrics->stale.value() == 1);
}

TEST_CASE("a long handler is kept from redelivery at a third of ack_wait, also while its batch is split", "[engine]") {
  EngineRig rig;
  // Each call lasts until the broker has heard about every message of the batch again.
  rig.script.on_batch = [&](std::span<const Event>) {
    std::vector<int> before;
    for (std::uint64_t n = 1; n <= 4; ++n) before.push_back(rig.source.answers(n).in_progress);
    rig.clock.advance(10s);
    CHECK(eventually([&] {
      for (std::uint64_t n = 1; n <= 4; ++n)
        if (rig.source.answers(n).acks == 0 && rig.source.answers(n).naks.empty() &&
            rig.source.answers(n).in_progress <= before[static_cast<std::size_t>(n - 1)])
          return false;
      return true;
    }));
  };
  rig.restart();
  rig.process(batch(rig, 4, {2}));
  CHECK(rig.db.count("SELECT count(*) FROM effects") == 3);
}

TEST_CASE("a batch that failed leaves no trace of having been started", "[engine]") {
  EngineRig rig;
  // Redelivered, so that it records itself; then fails as a whole, and is given back.
  rig.process(batch(rig, 4, {1, 2, 3, 4}, kThrow, 2));
  CHECK(rig.source.answers(1, 2).naks.size() == 1);
  rig.process(rig.delivery(EngineRig::event(9), 9));
  CHECK(rig.db.count("SELECT count(*) FROM cutover.started") == 0);

  rig.process(batch(rig, 4, {3}, R"({"do":"conflict","until":1})", 3));
  CHECK(rig.db.count("SELECT count(*) FROM cutover.started") == 0);
}

TEST_CASE("a failure that cannot be written down is given back, and the others go on", "[engine]") {
  EngineRig rig;
  rig.db.query("CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no room for attempts'; END $$");
  rig.db.query("CREATE TRIGGER refuse BEFORE INSERT ON cutover.attempts FOR EACH ROW EXECUTE FUNCTION public.refuse()");
  rig.process(batch(rig, 4, {2, 3}));
  CHECK(rig.db.count("SELECT count(*) FROM effects") == 2);
  CHECK(rig.source.answers(2).naks.size() == 1);
  CHECK(rig.source.answers(3).naks.size() == 1);
  CHECK(rig.left.empty());
}
