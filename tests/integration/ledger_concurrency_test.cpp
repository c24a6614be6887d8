// Claims that meet: of two transactions with one key, one applies it; a change of ownership waits for batches in flight.
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <atomic>
#include <future>
#include <random>
#include <set>
#include <thread>

#include "fixtures/ledger_session.h"
#include "fixtures/waiting.h"
#include "runtime/engine/ports.h"
#include "runtime/postgres/ledger_upkeep.h"

using namespace cutover;
using namespace cutover::test;

namespace {

constexpr const char* kWorker = "search-projector";

struct Meeting {
  Meeting() {
    db.query("SELECT cutover.stream_incarnation('S', '2026-01-01T00:00:00Z')");
    db.query("SELECT cutover.stream_incarnation('T', '2026-01-01T00:00:00Z')");
  }
  // True when a session of the ledger waits for a lock of another one.
  bool somebody_waits() {
    return eventually([&] {
      return db.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0;
    });
  }
  TestDatabase db;
};

}  // namespace

TEST_CASE("of two batches with one key one waits, then finds a duplicate", "[ledger]") {
  Meeting meeting;
  LedgerSession first(meeting.db, kWorker, "worker", "one"), second(meeting.db, kWorker, "worker", "two");
  LedgerEvent copy = ledger_event(2);
  copy.mark = ledger_event(1).mark;
  first.begin();
  REQUIRE(first.claim("S", 1, {ledger_event(1)}).serving == "a");
  first.settle("a");
  auto answer = std::async(std::launch::async, [&] { return second.work("S", 1, {copy}); });
  REQUIRE(meeting.somebody_waits());
  SECTION("when the first commits") {
    first.commit();
    CHECK(answer.get() == "d");
  }
  SECTION("but applies it when the first rolls back") {
    first.rollback();
    CHECK(answer.get() == "a");
  }
}

TEST_CASE("a redelivery that meets its own first delivery finds the place settled", "[ledger]") {
  Meeting meeting;
  LedgerSession first(meeting.db, kWorker, "worker", "one"), second(meeting.db, kWorker, "worker", "two");
  first.begin();
  REQUIRE(first.claim("S", 1, {ledger_event(1), ledger_event(2)}).serving == "aa");
  first.settle("aa");
  auto answer = std::async(std::launch::async, [&] { return second.work("S", 1, {ledger_event(1), ledger_event(2), ledger_event(3)}); });
  REQUIRE(meeting.somebody_waits());
  first.commit();
  CHECK(answer.get() == "==a");
}

TEST_CASE("a redelivery applies what its first delivery gave back", "[ledger]") {
  Meeting meeting;
  LedgerSession first(meeting.db, kWorker, "worker", "one"), second(meeting.db, kWorker, "worker", "two");
  first.begin();
  REQUIRE(first.claim("S", 1, {ledger_event(1)}).serving == "a");
  first.settle("r");
  auto answer = std::async(std::launch::async, [&] { return second.work("S", 1, {ledger_event(1)}); });
  REQUIRE(meeting.somebody_waits());
  first.commit();
  CHECK(answer.get() == "a");
}

TEST_CASE("two batches with the same keys in opposite order do not deadlock", "[ledger]") {
  Meeting meeting;
  std::vector<LedgerEvent> forward, backward;
  for (std::int64_t i = 1; i <= 200; ++i) forward.push_back(ledger_event(i));
  for (std::int64_t i = 1; i <= 200; ++i) {
    LedgerEvent copy = ledger_event(i, "copy " + std::to_string(i));
    copy.mark = ledger_event(201 - i).mark;
    backward.push_back(copy);
  }
  LedgerSession one(meeting.db, kWorker, "worker", "one"), two(meeting.db, kWorker, "worker", "two");
  auto answer = std::async(std::launch::async, [&] { return one.work("S", 1, forward); });
  const std::string other = two.work("T", 1, backward);
  const std::string mine = answer.get();
  // Whoever was first took them all or the other found them: each key was applied once.
  CHECK(std::count(mine.begin(), mine.end(), 'a') + std::count(other.begin(), other.end(), 'a') == 200);
}

TEST_CASE("a change of ownership waits for the batches in flight and holds for the next ones", "[ledger]") {
  Meeting meeting;
  LedgerSession batch(meeting.db, kWorker), flip(meeting.db, kWorker, "worker", "operator"), next(meeting.db, kWorker, "worker", "two");
  batch.begin();
  REQUIRE(batch.claim("S", 1, {ledger_event(1)}).serving == "a");
  batch.settle("a");
  flip.begin();
  auto changed = std::async(std::launch::async, [&] {
    flip.connection.run("SELECT pg_advisory_xact_lock(cutover.lock_class_worker(), worker_id) FROM cutover.workers WHERE worker = 'search-projector'");
    flip.connection.run(
        "INSERT INTO cutover.ownership (worker_id, epoch, stream_id, from_sequence, mode, actor, reason) "
        "SELECT worker_id, 1, stream_id, 2, 'monolith', 'test', 'test' FROM cutover.workers, cutover.streams "
        "WHERE worker = 'search-projector' AND stream = 'S'");
  });
  REQUIRE(meeting.somebody_waits());
  auto answer = std::async(std::launch::async, [&] { return next.work("S", 1, {ledger_event(2), ledger_event(3)}); });
  batch.commit();
  changed.get();
  flip.commit();
  CHECK(answer.get() == "ss");  // it waited, and then read the new segment
}

TEST_CASE("turning the slots over gives way to a batch in flight within its limit", "[ledger]") {
  Meeting meeting;
  LedgerSession batch(meeting.db, kWorker);
  batch.begin();
  REQUIRE(batch.claim("S", 1, {ledger_event(1)}).serving == "a");
  CHECK(meeting.db.value("SELECT cutover.rotate_marks(0)") == "f");
  batch.settle("a");
  batch.commit();
  CHECK(meeting.db.value("SELECT cutover.rotate_marks(0)") == "t");
  CHECK(meeting.db.value("SELECT slot FROM cutover.mark_slot") == "1");
  // The idle slot still holds a mark: it is merged before the next turn.
  CHECK(meeting.db.value("SELECT cutover.rotate_marks(0)") == "f");
  CHECK(meeting.db.value("SELECT cutover.merge_marks(100)") == "1");
  CHECK(meeting.db.value("SELECT idle_empty FROM cutover.mark_slot") == "t");
  CHECK(meeting.db.value("SELECT cutover.rotate_marks(0)") == "t");
}

TEST_CASE("many sessions and the upkeep at once apply each key once and never deadlock", "[ledger]") {
  Meeting meeting;
  constexpr int kKeys = 600, kSessions = 4, kBatches = 60;
  std::atomic<int> applied{0};
  std::atomic<bool> done{false};
  std::jthread upkeep([&] {
    postgres::UpkeepOptions options;
    options.settlement_keep = std::chrono::milliseconds(0);
    options.slot_bytes_max = 1;
    options.rows_per_step = 50;
    postgres::LedgerUpkeep steps(meeting.db.options(), options);
    while (!done) steps.step();
  });
  std::vector<std::future<std::string>> sessions;
  for (int s = 0; s < kSessions; ++s)
    sessions.push_back(std::async(std::launch::async, [&, s]() -> std::string {
      std::mt19937 random(static_cast<unsigned>(s));
      LedgerSession session(meeting.db, kWorker, "worker", "session " + std::to_string(s));
      try {
        for (int b = 0; b < kBatches; ++b) {
          std::set<std::int64_t> sequences;
          for (int i = 0; i < 40; ++i) sequences.insert(1 + random() % kKeys);
          std::vector<LedgerEvent> batch;
          for (std::int64_t sequence : sequences) {
            // The same key at the same place: a redelivery; or at another one: a producer's duplicate.
            LedgerEvent event = ledger_event(sequence);
            if (s % 2 == 1) event = {sequence + kKeys, ledger_event(sequence + kKeys).event_id, event.key, event.mark};
            batch.push_back(event);
          }
          session.begin();
          const std::string serving = session.claim("S", 1, batch).serving;
          const bool crash = random() % 5 == 0;
          std::string classes = serving;
          for (char& c : classes) c = c == '=' ? '-' : c == 'd' ? 'd' : 'a';
          session.settle(classes);
          if (crash) session.rollback();
          else session.commit(), applied += static_cast<int>(std::count(classes.begin(), classes.end(), 'a'));
        }
      } catch (const std::exception& e) {
        return e.what();
      }
      return "";
    }));
  for (auto& session : sessions) CHECK(session.get() == "");
  done = true;
  upkeep.join();
  LedgerSession last(meeting.db, kWorker);
  std::vector<LedgerEvent> everything;
  for (std::int64_t sequence = 1; sequence <= kKeys; ++sequence) everything.push_back(ledger_event(sequence));
  const std::string rest = last.work("S", 1, everything);
  CHECK(applied + std::count(rest.begin(), rest.end(), 'a') == kKeys);
}
