// Durable timers and schedules: rows of the outbox with a time in the future.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <optional>
#include <thread>

#include <nlohmann/json.hpp>

#include "fixtures/engine_rig.h"
#include "fixtures/relay_rig.h"
#include "fixtures/server_addresses.h"
#include "fixtures/waiting.h"
#include "runtime/engine/worker_transaction.h"
#include "runtime/postgres/batch_transaction.h"

using namespace cutover;
using namespace cutover::test;
using namespace std::chrono_literals;

namespace {

struct Timers : RelayRig {
  Timers() : connection(db.options()) {
    db.query("SELECT cutover.register_worker('test-worker')");
    connection.connect();
  }
  // Runs `use` in a transaction of a worker.
  void transact(const std::function<void(Transaction&)>& use, bool shadow = false) {
    bool started = false;
    postgres::PgBatchTransaction batch(connection, identity, started);
    if (shadow) batch.use_shadow(true);
    EventIds ids(clock, [n = std::uint64_t{0}]() mutable { return ++n; });
    WorkerTransaction tx(batch, "test-worker", ids, clock.now());
    use(tx);
    batch.commit();
  }
  Outgoing timer(const std::string& timer_key, const std::string& work, std::chrono::milliseconds in = 1h) {
    Outgoing out;
    out.event_name = subject;
    out.subject_type = "timer";
    out.subject_id = work;
    out.idempotency_key = work;
    out.payload = nlohmann::json{{"n", 1}}.dump();
    out.available_at = clock.now() + in;
    out.timer_key = timer_key;
    return out;
  }
  void arm(const Outgoing& out) {
    transact([&](Transaction& tx) { tx.emit(Event{}, out); });
  }
  // The time of every timer has come.
  void come_due() { db.query("UPDATE cutover.outbox SET available_at = now() - interval '1 s' WHERE available_at IS NOT NULL"); }
  std::vector<std::string> fired() {
    std::vector<std::string> works;
    for (const StoredMessage& message : broker.all(stream)) works.push_back(nlohmann::json::parse(message.data)["idempotency_key"]);
    return works;
  }
  postgres::Connection connection;
  postgres::Identity identity{.worker = "test-worker", .instance = "i", .build = "b"};
};

// A row that repeats by the schedule, due at once.
OutboxRow scheduled(Timers& timers, const std::string& cron, const std::string& key = "nightly:20260101T0000Z") {
  EventIds ids(timers.clock, [] { return std::uint64_t{1}; });
  Outgoing out = timers.timer("schedule:test-worker:nightly", key, -1s);
  OutboxRow row = make_outbox_row(nullptr, out, "test-worker", ids, timers.clock.now());
  row.schedule = cron;
  return row;
}

}  // namespace

TEST_CASE("a timer leaves when its time has come, once, with two relays at work", "[relay]") {
  Timers timers;
  timers.arm(timers.timer("t1", "one"));
  timers.arm(timers.timer("t2", "soon", 300ms));
  timers.start();
  timers.start();
  REQUIRE(eventually([&] { return timers.waiting() == 1; }));
  CHECK(timers.fired() == std::vector<std::string>{"soon"});
  timers.come_due();
  REQUIRE(timers.all_published());
  CHECK(timers.fired() == std::vector<std::string>{"soon", "one"});
  CHECK(timers.db.value("SELECT string_agg((published_at >= created_at)::text, ' ') FROM cutover.outbox") == "true true");
}

TEST_CASE("a cancelled timer does not leave, and cancelling what fired or never was does nothing", "[relay]") {
  Timers timers;
  timers.arm(timers.timer("t1", "one"));
  timers.arm(timers.timer("t2", "two"));
  timers.transact([](Transaction& tx) {
    tx.cancel_timer("t1");
    tx.cancel_timer("never armed");
  });
  timers.come_due();
  timers.start();
  REQUIRE(timers.all_published());
  CHECK(timers.fired() == std::vector<std::string>{"two"});
  timers.transact([](Transaction& tx) { tx.cancel_timer("t2"); });
  CHECK(timers.db.count("SELECT count(*) FROM cutover.outbox") == 1);
}

TEST_CASE("a second timer of a key replaces the first, also within one transaction", "[relay]") {
  Timers timers;
  timers.arm(timers.timer("t1", "first"));
  timers.transact([&](Transaction& tx) {
    tx.emit(Event{}, timers.timer("t1", "second"));
    tx.emit(Event{}, timers.timer("t1", "third"));
    tx.emit(Event{}, timers.timer("t2", "cancelled"));
    tx.cancel_timer("t2");
    tx.emit(Event{}, timers.timer("t2", "armed again"));
  });
  timers.come_due();
  timers.start();
  REQUIRE(timers.all_published());
  std::vector<std::string> fired = timers.fired();
  std::sort(fired.begin(), fired.end());
  CHECK(fired == std::vector<std::string>{"armed again", "third"});
}

TEST_CASE("two transactions that arm one timer at once: the later one replaces the earlier one", "[relay]") {
  Timers timers;
  postgres::Connection other(timers.db.options());
  other.connect();
  std::optional<std::jthread> second;
  std::string trouble;
  timers.transact([&](Transaction& tx) {
    tx.emit(Event{}, timers.timer("t1", "first"));
    tx.cancel_timer("nothing");  // what was emitted before is written now
    tx.query("SELECT 1");
    second.emplace([&] {
      try {
        bool started = false;
        postgres::PgBatchTransaction batch(other, timers.identity, started);
        EventIds ids(timers.clock, [n = std::uint64_t{100}]() mutable { return ++n; });
        WorkerTransaction later(batch, "test-worker", ids, timers.clock.now());
        later.emit(Event{}, timers.timer("t1", "second"));
        batch.commit();
      } catch (const std::exception& e) {
        trouble = e.what();
      }
    });
    CHECK(eventually([&] {
      return timers.db.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0;
    }));
  });
  second->join();
  CHECK(trouble == "");
  timers.come_due();
  timers.start();
  REQUIRE(timers.all_published());
  CHECK(timers.fired() == std::vector<std::string>{"second"});
}

TEST_CASE("timers of shadow have keys and subjects of their own", "[relay]") {
  Timers timers;
  timers.arm(timers.timer("t1", "live"));
  timers.transact([&](Transaction& tx) { tx.emit(Event{}, timers.timer("t1", "in shadow")); }, true);
  CHECK(timers.db.value("SELECT string_agg(subject || ' ' || timer_key, ', ' ORDER BY outbox_id) FROM cutover.outbox") ==
        timers.subject + " t1, shadow." + timers.subject + " shadow:t1");
  timers.transact([](Transaction& tx) { tx.cancel_timer("t1"); }, true);
  CHECK(timers.db.count("SELECT count(*) FROM cutover.outbox") == 1);
}

TEST_CASE("a schedule arms itself anew, once, with two relays at work", "[relay]") {
  Timers timers;
  const OutboxRow row = scheduled(timers, "0 2 * * *");
  postgres::PgOutboxStore store(timers.db.options());
  CHECK(store.arm(row));
  CHECK_FALSE(store.arm(row));
  timers.start();
  timers.start();
  REQUIRE(eventually([&] { return timers.db.count("SELECT count(*) FROM cutover.outbox WHERE published_at IS NOT NULL") == 1; }));
  CHECK(timers.db.count("SELECT count(*) FROM cutover.outbox") == 2);
  CHECK(timers.db.value("SELECT to_char(available_at AT TIME ZONE 'UTC', 'HH24:MI:SS') || ' ' || (available_at > now())::text || ' ' || timer_key || ' ' || schedule "
                        "FROM cutover.outbox WHERE published_at IS NULL") == "02:00:00 true schedule:test-worker:nightly 0 2 * * *");
  CHECK_FALSE(store.arm(row));  // an instance that starts finds it armed
  for (int round = 2; round <= 4; ++round) {
    timers.come_due();
    REQUIRE(eventually([&] { return timers.broker.messages(timers.stream) == static_cast<std::uint64_t>(round); }));
    REQUIRE(eventually([&] {
      return timers.db.count("SELECT count(*) FROM cutover.outbox WHERE published_at IS NULL AND available_at > now()") == 1;
    }));
  }
  const std::vector<std::string> fired = timers.fired();
  CHECK(fired.front() == "nightly:20260101T0000Z");
  CHECK_THAT(fired[1], Catch::Matchers::Matches("nightly:[0-9]{8}T0200Z"));
  CHECK(timers.db.count("SELECT count(DISTINCT message_id) FROM cutover.outbox") == 5);
}

TEST_CASE("the key of a daily schedule names the date", "[relay]") {
  Timers timers;
  const OutboxRow row = scheduled(timers, "0 2 * * *", "daily:2026-05-31");
  OutboxEntry fired;
  fired.payload = row.payload;
  fired.schedule = row.schedule;
  const Instant now = std::chrono::sys_days{std::chrono::year{2026} / 6 / 1} + std::chrono::hours(2);
  const OutboxRow next = next_firing(fired, now, [] { return std::string("next"); });
  CHECK(next.payload.find(R"("idempotency_key":"daily:2026-06-02")") != std::string::npos);
  CHECK(next.payload.find(R"("occurred_at":"2026-06-02T02:00:00)") != std::string::npos);
}

TEST_CASE("a schedule that cannot be armed anew does not stop the relay", "[relay]") {
  Timers timers;
  postgres::PgOutboxStore store(timers.db.options());
  OutboxRow broken = scheduled(timers, "0 2 * * *");
  broken.payload = "{}";  // no envelope
  REQUIRE(store.arm(broken));
  timers.insert({{.key = "k", .n = 5}});
  timers.start();
  REQUIRE(timers.all_published());
  CHECK(timers.broker.messages(timers.stream) == 2);
}
