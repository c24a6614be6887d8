// Lanes with everything real: broker, database, threads, relay.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "fixtures/loop_rig.h"
#include "fixtures/waiting.h"

using namespace cutover;
using namespace cutover::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Matches;

namespace {

// A gate that batches wait at until the test lets them pass, one by one or all.
class Gate {
 public:
  void wait() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait_for(lock, 30s, [&] { return open_ || tickets_ > 0; });
    if (!open_) --tickets_;
    --waiting_;
  }
  bool somebody_waits() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 30s, [&] { return waiting_ > tickets_; });
  }
  void let_one_pass() {
    std::lock_guard lock(mutex_);
    ++tickets_;
    changed_.notify_all();
  }
  void open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int waiting_ = 0, tickets_ = 0;
  bool open_ = false;
};

}  // namespace

TEST_CASE("one poisoned event: its 255 neighbours commit, it becomes a message in DLQ, and the lane is back at full batches", "[engine]") {
  LoopRig rig;
  rig.publish(0, 100);
  EventDraft poisoned = rig.event(100, R"({"do":"throw","reason":"cannot do 17\nreally"})");
  Sending message = sending(poisoned, "subject:100");
  message.headers.emplace_back("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  const std::uint64_t place = rig.broker.publish(message);
  rig.publish(101, 155);
  rig.start();
  REQUIRE(rig.applied(255));
  const std::string subject = "dlq." + rig.spec.name + ".main";
  REQUIRE(eventually([&] { return rig.broker.last("DLQ", subject).has_value(); }));
  REQUIRE(eventually([&] { return rig.idle(); }));

  const StoredMessage letter = rig.broker.last("DLQ", subject).value();
  CHECK(letter.data == poisoned.text());
  CHECK(letter.header("Cutover-Origin-Stream") == rig.stream);
  CHECK(letter.header("Cutover-Origin-Incarnation") == "1");
  CHECK(letter.header("Cutover-Origin-Sequence") == std::to_string(place));
  CHECK(letter.header("Cutover-Origin-Subject") == poisoned.event_name);
  CHECK(letter.header("Cutover-Origin-Consumer") == rig.spec.name + "-main");
  CHECK(letter.header("Cutover-Origin-Key") == "subject:100");
  CHECK_THAT(letter.header("Cutover-Origin-Time"), Matches("[0-9-]{10}T[0-9:.]{15}Z"));
  CHECK_THAT(letter.header("Cutover-First-Failure"), Matches("[0-9-]{10}T[0-9:.]{15}Z"));
  CHECK(letter.header("Cutover-First-Failure") < letter.header("Cutover-Last-Failure"));
  CHECK(letter.header("Cutover-Attempts") == "4");
  CHECK(letter.header("Cutover-Failure-Kind") == "transient");
  CHECK(letter.header("Cutover-Error") == "cannot do 17 really");
  CHECK(letter.header("Cutover-Instance") == "loop");
  CHECK(letter.header("Cutover-Build") == "test build");
  CHECK(letter.header("traceparent") == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  const auto headers = nlohmann::json::parse(letter.header("Cutover-Origin-Headers"));
  CHECK(std::find(headers.begin(), headers.end(), nlohmann::json{"Nats-Msg-Id", poisoned.id()}) != headers.end());
  CHECK_THAT(letter.header("Nats-Msg-Id"), ContainsSubstring("dlq:" + rig.spec.name));
  CHECK(rig.db.count("SELECT count(*) FROM cutover.dead_letters") == 1);

  // Nothing of it lingers: later batches are whole.
  const std::size_t before = rig.batches().size();
  rig.publish(1'000, 1'024);
  REQUIRE(rig.applied(255 + 1'024));
  const auto batches = rig.batches();
  CHECK(batches.size() - before < 40);
  CHECK(rig.lane("main").rolled_back.value() < 30);
  CHECK(rig.db.count("SELECT count(*) FROM effects") == 255 + 1'024);
}

TEST_CASE("a poisoned event larger than a message with headers can be still reaches DLQ", "[engine]") {
  LoopRig rig;
  const EventDraft large = rig.event(1, "{\"x\":\"" + std::string(1'000'000, 'y') + "\"}");
  rig.broker.publish(sending(large));
  rig.publish(2, 1);
  rig.start();
  REQUIRE(rig.applied(1));
  const std::string subject = "dlq." + rig.spec.name + ".main";
  REQUIRE(eventually([&] { return rig.broker.last("DLQ", subject).has_value(); }));
  const StoredMessage letter = rig.broker.last("DLQ", subject).value();
  CHECK(letter.data.empty());
  CHECK_THAT(letter.header("Cutover-Omitted"), ContainsSubstring("cutover.dead_letters"));
  CHECK(rig.db.value("SELECT kind || ' ' || octet_length(payload) FROM cutover.dead_letters") == "malformed " + std::to_string(large.text().size()));
}

TEST_CASE("a low lane with waiting events delays a high lane's event by the running batch only", "[engine]") {
  LoopRig rig;
  LaneSpec high = rig.spec.lanes.front(), low = high;
  high.name = "high";
  high.filter_subject = rig.domain + ".urgent_done";
  high.priority = 0;
  low.name = "low";
  low.filter_subject = rig.domain + ".thing_done";
  low.priority = 9;
  rig.spec.lanes = {low, high};
  const bool full = std::getenv("CUTOVER_TEST_LONG") != nullptr;
  const int waiting = full ? 100'000 : 10'000;
  rig.publish(0, waiting);
  constexpr int kUrgent = 4;
  Gate gate;
  std::vector<std::size_t> arrived;  // number of the batch that ran when each urgent event had arrived
  std::size_t number = 0;
  rig.on_batch = [&](std::span<const Event> events) {
    ++number;
    if (events.front().event_name.ends_with("urgent_done") || number % 5 != 0 || arrived.size() >= kUrgent) return;
    arrived.push_back(number);
    gate.wait();
  };
  rig.start();
  for (int n = 0; n < kUrgent; ++n) {
    // Published and fetched while a low batch runs.
    REQUIRE(gate.somebody_waits());
    rig.publish(n, 1, "{}", "urgent_done");
    REQUIRE(eventually([&] { return rig.lane("high").fetched.value() == n + 1; }));
    gate.let_one_pass();
  }
  REQUIRE(rig.applied(waiting + kUrgent));
  rig.stop();
  const auto batches = rig.batches();
  REQUIRE(arrived.size() == 4);
  for (std::size_t running : arrived) CHECK(batches.at(running).size() == 1);  // the next one is the urgent one, alone
  CHECK(rig.db.count("SELECT count(*) FROM effects WHERE idempotency_key LIKE 'urgent%'") == 4);
}

TEST_CASE("one key is never worked on by two threads, and its events keep their order", "[engine]") {
  LoopRig rig;
  rig.spec.concurrency = 4;
  rig.spec.lanes.front().batch_max = 16;
  constexpr int kKeys = 20, kEach = 60;
  std::vector<Sending> messages;
  for (int i = 0; i < kKeys * kEach; ++i) {
    EventDraft event = rig.event(i, "{\"n\":" + std::to_string(i) + "}");
    event.subject_id = "key " + std::to_string(i % kKeys);
    messages.push_back(sending(event, i % 2 == 0 ? event.subject_id : ""));  // with and without the header
  }
  rig.broker.publish(messages);
  std::mutex mutex;
  std::set<std::string> busy;
  std::map<std::string, std::int64_t> last;
  std::atomic<int> clashes{0}, disorder{0};
  std::set<std::thread::id> threads;
  rig.on_batch = [&](std::span<const Event> events) {
    std::set<std::string> mine;
    {
      std::lock_guard lock(mutex);
      threads.insert(std::this_thread::get_id());
      for (const Event& event : events) {
        const std::string key(event.subject.id);
        if (mine.insert(key).second && !busy.insert(key).second) ++clashes;
        if (last.contains(key) && last[key] >= static_cast<std::int64_t>(event.place.sequence)) ++disorder;
        last[key] = static_cast<std::int64_t>(event.place.sequence);
      }
    }
    std::this_thread::yield();
    std::lock_guard lock(mutex);
    for (const std::string& key : mine) busy.erase(key);
  };
  rig.start();
  REQUIRE(rig.applied(kKeys * kEach));
  CHECK(clashes == 0);
  CHECK(disorder == 0);
  CHECK(threads.size() > 1);
}

TEST_CASE("a loop whose database connections are cut goes on, and counts nothing", "[engine]") {
  LoopRig rig;
  rig.spec.concurrency = 2;
  rig.publish(0, 3'000);
  rig.start();
  for (std::int64_t point : {200, 1'000, 2'000}) {
    REQUIRE(rig.applied(point));
    rig.db.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test worker' AND datname = current_database()");
  }
  REQUIRE(rig.applied(3'000));
  REQUIRE(eventually([&] { return rig.idle(); }));
  CHECK(rig.db.count("SELECT count(*) FROM effects") == 3'000);
  CHECK(rig.db.count("SELECT count(*) FROM cutover.attempts") == 0);
  CHECK(rig.db.count("SELECT count(*) FROM cutover.dead_letters") == 0);
  CHECK(rig.metrics->worker(rig.spec.name).paused.value() == 0);
}

TEST_CASE("a refused claim stops the loop, says why, and leaves the events to others", "[engine]") {
  LoopRig rig;
  rig.publish(0, 50);
  SECTION("another life of the stream") {
    rig.on_batch = [&](std::span<const Event>) {
      postgres::Session(rig.db.url(), "", "operator").query("INSERT INTO cutover.streams (stream, incarnation, created_at) SELECT stream, 2, created_at + interval '1 day' FROM cutover.streams ON CONFLICT DO NOTHING");
    };
    rig.spec.lanes.front().batch_max = 10;
    rig.start();
    REQUIRE(eventually([&] { return !rig.loop->refusal().empty(); }));
    CHECK_THAT(rig.loop->refusal(), ContainsSubstring("incarnation"));
  }
  SECTION("a table that is missing") {
    rig.broker.admin.delete_stream(rig.stream);
    rig.broker.make_stream(rig.stream, {rig.domain + ".>"});
    rig.publish(0, 50, R"({"do":"missing"})");
    rig.start();
    REQUIRE(eventually([&] { return !rig.loop->refusal().empty(); }));
    CHECK_THAT(rig.loop->refusal(), ContainsSubstring("no_such_table"));
    CHECK(rig.db.count("SELECT count(*) FROM effects") == 0);
  }
  CHECK(rig.db.count("SELECT count(*) FROM cutover.dead_letters") == 0);
  CHECK(rig.db.count("SELECT count(*) FROM cutover.attempts WHERE attempts > 0") == 0);
  CHECK(rig.stop());
}

TEST_CASE("draining finishes the running batch and hands back the rest at once", "[engine]") {
  LoopRig rig;
  rig.spec.lanes.front().batch_max = 10;
  rig.spec.lanes.front().ack_wait = 60s;  // so that only a negative ack brings them back
  rig.publish(0, 100);
  Gate gate;
  rig.on_batch = [&](std::span<const Event>) { gate.wait(); };
  rig.start();
  REQUIRE(gate.somebody_waits());
  REQUIRE(eventually([&] { return rig.lane("main").fetched.value() >= 20; }));
  std::jthread opener([&] { gate.open(); });
  CHECK(rig.stop());
  const std::int64_t done = rig.db.count("SELECT count(*) FROM effects");
  CHECK(done >= 1);  // the first batch is what was there when it began
  CHECK(done < 100);
  rig.on_batch = nullptr;
  rig.start();
  REQUIRE(rig.applied(100));
  REQUIRE(eventually([&] { return rig.idle(); }));
  CHECK(rig.db.count("SELECT count(*) FROM effects") == 100);
  CHECK(rig.lane("main").duplicates.value() == 0);  // nothing that was committed came again
}

TEST_CASE("a replayed letter is worked on in its own place, and nobody else's plan touches it", "[engine]") {
  LoopRig rig;
  LaneSpec replay;
  replay.name = "replay";
  replay.stream = "REPLAY";
  replay.filter_subject = "replay." + rig.spec.name + ".worker.*";
  replay.priority = 9;
  rig.spec.lanes.push_back(replay);
  const std::uint64_t place = rig.broker.publish(sending(rig.event(1, R"({"do":"dead"})")));
  rig.start();
  REQUIRE(eventually([&] { return rig.db.count("SELECT count(*) FROM cutover.dead_letters") == 1; }));

  // Edited so that it works now; under its own id and key.
  Sending again = sending(rig.event(1));
  again.message_id = "replay:7:" + rig.stream + ":" + std::to_string(place);
  again.subject = "replay." + rig.spec.name + ".worker.main";
  again.headers = {{"Cutover-Origin-Stream", rig.stream},
                   {"Cutover-Origin-Incarnation", "1"},
                   {"Cutover-Origin-Sequence", std::to_string(place)},
                   {"Cutover-Origin-Subject", rig.event(1).event_name},
                   {"Cutover-Plan", "7"}};
  SECTION("with its plan") {
    rig.db.query("UPDATE cutover.dead_letters SET state = 'replaying', plan_id = 7");
    rig.broker.publish(again);
    REQUIRE(rig.applied(1));
    REQUIRE(eventually([&] { return rig.db.value("SELECT state FROM cutover.dead_letters") == "replayed"; }));
  }
  SECTION("without it") {
    rig.broker.publish(again);
    REQUIRE(eventually([&] { return rig.lane("replay").duplicates.value() == 1; }));
    CHECK(rig.db.count("SELECT count(*) FROM effects") == 0);
  }
  SECTION("from a place that nobody knows it stays in its stream, and the loop goes on") {
    again.headers[1].second = "9";
    rig.broker.publish(again);
    REQUIRE(eventually([&] { return rig.lane("replay").fetched.value() == 1; }));
    rig.publish(2, 1);
    REQUIRE(rig.applied(1));
    CHECK(rig.loop->refusal() == "");
    CHECK(rig.broker.consumer("REPLAY", rig.spec.name + "-replay").ack_pending == 1);
    rig.broker.connection.request("$JS.API.CONSUMER.DELETE.REPLAY." + rig.spec.name + "-replay", "", std::chrono::steady_clock::now() + 10s);
    rig.spec.lanes.pop_back();
    return;
  }
  REQUIRE(eventually([&] { return rig.idle(); }));
}
