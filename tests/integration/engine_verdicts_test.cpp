// What becomes of each event by what the worker returns.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "fixtures/engine_rig.h"

using namespace cutover;
using namespace cutover::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

std::vector<Message> batch(EngineRig& rig, int from, int count, const std::string& payload = "{}") {
  std::vector<Message> messages;
  for (int n = from; n < from + count; ++n) messages.push_back(rig.delivery(EngineRig::event(n, payload), static_cast<std::uint64_t>(n)));
  return messages;
}

}  // namespace

TEST_CASE("a batch that is done is applied once, then acknowledged", "[engine]") {
  EngineRig rig;
  rig.process(batch(rig, 1, 20));
  CHECK(rig.db.count("SELECT count(*) FROM effects") == 20);
  CHECK(rig.source.acks() == 20);
  CHECK(rig.batches == std::vector<std::size_t>{20});
  CHECK(rig.db.value("SELECT string_agg(class::text || sequences::text, ' ') FROM cutover.settlements") == "a{[1,21)}");
  CHECK(rig.lane.metrics->applied.value() == 20);
}

TEST_CASE("messages that arrive out of order are worked on in stream order", "[engine]") {
  EngineRig rig;
  std::vector<std::string> seen;
  rig.script.on_batch = [&](std::span<const Event> events) {
    for (const Event& event : events) seen.emplace_back(event.subject.id);
  };
  rig.restart();
  std::vector<Message> messages;
  for (int n : {3, 1, 2}) messages.push_back(rig.delivery(EngineRig::event(n), static_cast<std::uint64_t>(n)));
  rig.process(std::move(messages));
  CHECK(seen == std::vector<std::string>{"s1", "s2", "s3"});
}

TEST_CASE("lost acks are answered from the ledger", "[engine]") {
  EngineRig rig;
  rig.process(batch(rig, 1, 3));
  rig.restart();
  std::vector<Message> again;
  for (int n = 1; n <= 4; ++n) again.push_back(rig.delivery(EngineRig::event(n), static_cast<std::uint64_t>(n), n == 4 ? 1 : 2));
  rig.process(std::move(again));
  CHECK(rig.batches == std::vector<std::size_t>{3, 1});
  CHECK(rig.db.count("SELECT count(*) FROM effects") == 4);
  for (std::uint64_t n = 1; n <= 3; ++n) CHECK(rig.source.answers(n, 2).acks == 1);
  CHECK(rig.lane.metrics->duplicates.value() == 3);
}

TEST_CASE("two deliveries of one sequence in a batch are one event", "[engine]") {
  EngineRig rig;
  std::vector<Message> messages;
  messages.push_back(rig.delivery(EngineRig::event(1), 1, 2));
  messages.push_back(rig.delivery(EngineRig::event(1), 1, 1));
  rig.process(std::move(messages));
  CHECK(rig.effects(1) == 1);
  CHECK(rig.source.answers(1, 2).acks == 1);
}

TEST_CASE("a duplicate within a batch shares the verdict of the first", "[engine]") {
  EngineRig rig;
  auto pair_of = [&](const std::string& payload) {
    EventDraft first = EngineRig::event(1, payload), second = first;
    second.event_id = uuid_of("another id, the same work");
    std::vector<Message> messages;
    messages.push_back(rig.delivery(first, 1));
    messages.push_back(rig.delivery(EngineRig::event(2), 2));
    messages.push_back(rig.delivery(second, 3));
    return messages;
  };
  SECTION("done: the second is settled as a duplicate") {
    rig.process(pair_of("{}"));
    CHECK(rig.effects(1) == 1);
    CHECK(rig.source.acks() == 3);
    CHECK(rig.db.value("SELECT string_agg(class::text || sequences::text, ' ' ORDER BY class) FROM cutover.settlements") == "a{[1,3)} d{[3,4)}");
  }
  SECTION("retry: both come again, one attempt is counted, and then one is applied") {
    rig.process(pair_of(R"({"do":"retry","until":1})"));
    CHECK(rig.effects(1) == 0);
    CHECK(rig.source.answers(1).naks.size() == 1);
    CHECK(rig.source.answers(3).naks.size() == 1);
    CHECK(rig.source.acks() == 1);
    CHECK(rig.db.value("SELECT string_agg(sequence || ' ' || attempts, ', ') FROM cutover.attempts") == "1 1");
    rig.restart();
    EventDraft second = EngineRig::event(1);
    second.event_id = uuid_of("another id, the same work");
    rig.process(rig.delivery(second, 3, 2));
    rig.process(rig.delivery(EngineRig::event(1), 1, 2));
    CHECK(rig.effects(1) == 1);
    CHECK(rig.db.count("SELECT count(*) FROM cutover.attempts") == 0);
  }
  SECTION("dead letter: both are letters, and their acks follow") {
    rig.process(pair_of(R"({"do":"dead"})"));
    CHECK(rig.letter("kind", 1) == "rejected");
    CHECK(rig.letter("kind", 3) == "rejected");
    CHECK(rig.source.acks() == 3);
  }
}

TEST_CASE("a duplicate of an earlier batch is acknowledged and not worked on", "[engine]") {
  EngineRig rig;
  rig.process(batch(rig, 1, 1));
  EventDraft copy = EngineRig::event(1);
  copy.event_id = uuid_of("sent twice");
  rig.process(rig.delivery(copy, 7));
  CHECK(rig.effects(1) == 1);
  CHECK(rig.batches == std::vector<std::size_t>{1});
  CHECK(rig.source.answers(7).acks == 1);
  CHECK(rig.db.value("SELECT sequences::text FROM cutover.settlements WHERE class = 'd'") == "{[7,8)}");
}

TEST_CASE("a retry verdict counts an attempt, waits longer each time, and ends as a dead letter", "[engine]") {
  BatchOptions options;
  options.retry = {1s, 5, 3};
  EngineRig rig(options);
  const EventDraft event = EngineRig::event(1, R"({"do":"retry","ms":50})");
  for (std::uint64_t delivery = 1; delivery <= 3; ++delivery) {
    CAPTURE(delivery);
    rig.process(rig.delivery(event, 1, delivery));
    CHECK(rig.attempts(1) == static_cast<std::int64_t>(delivery));
    REQUIRE(rig.source.answers(1, delivery).naks.size() == 1);
    const auto delay = rig.source.answers(1, delivery).naks.front();
    CHECK(delay >= 50ms);
    CHECK(delay <= (delivery == 1 ? 1s : delivery == 2 ? 5s : 25s));
    CHECK(rig.db.count("SELECT count(*) FROM cutover.marks_0") == 0);  // the next delivery may try
    CHECK(rig.letter("kind", 1) == "");
  }
  rig.process(rig.delivery(event, 1, 4));
  CHECK(rig.letter("kind || ' ' || attempts || ' ' || state", 1) == "transient 4 open");
  CHECK(rig.source.answers(1, 4).acks == 1);
  CHECK(rig.db.count("SELECT count(*) FROM cutover.marks_0") == 1);  // the letter keeps the mark
  CHECK(rig.db.count("SELECT count(*) FROM cutover.attempts") == 0);
  CHECK(rig.db.value("SELECT (first_failed_at < last_failed_at)::text FROM cutover.dead_letters") == "true");
  CHECK(rig.effects(1) == 0);
  rig.process(rig.delivery(event, 1, 5));
  CHECK(rig.source.answers(1, 5).acks == 1);
  CHECK(rig.batches.size() == 4);
}

TEST_CASE("an event that succeeds after retries leaves no attempts behind", "[engine]") {
  EngineRig rig;
  rig.process(rig.delivery(EngineRig::event(1, R"({"do":"retry"})"), 1));
  rig.process(rig.delivery(EngineRig::event(1), 1, 2));
  CHECK(rig.effects(1) == 1);
  CHECK(rig.db.count("SELECT count(*) FROM cutover.attempts") == 0);
  CHECK(rig.db.count("SELECT count(*) FROM cutover.started") == 0);
}

TEST_CASE("a dead letter verdict is written with everything that is known", "[engine]") {
  EngineRig rig;
  EventDraft event = EngineRig::event(1, R"({"do":"dead","reason":"no such profile: 4711"})");
  Sending message = sending(event, "profile:4711");
  message.headers.emplace_back("X-Trace", "kept");
  rig.process(rig.source.delivery(message, 12));
  CHECK(rig.letter("state || ' ' || kind || ' ' || lane || ' ' || side || ' ' || attempts", 12) == "open rejected main worker 1");
  CHECK(rig.letter("error", 12) == "no such profile: 4711");
  CHECK(rig.letter("error_group", 12) == "no such profile: <n>");
  CHECK(rig.letter("key || '|' || subject || '|' || event_name", 12) == "profile:4711|test.thing_done|test.thing_done");
  CHECK(rig.letter("event_id", 12) == event.id());
  CHECK(rig.letter("convert_from(payload, 'UTF8')", 12) == event.text());
  CHECK_THAT(rig.letter("headers", 12), ContainsSubstring(R"(["X-Trace", "kept"])"));
  CHECK(rig.letter("history -> 0 ->> 'instance'", 12) == "rig-1");
  CHECK(rig.db.value("SELECT subject FROM cutover.outbox") == "dlq.test-worker.main");
  CHECK(rig.source.answers(12).acks == 1);
  CHECK(rig.lane.metrics->dead_lettered.value("rejected") == 1);
}

TEST_CASE("an event with a verdict other than done shares a batch with those that are done", "[engine]") {
  EngineRig rig;
  std::vector<Message> messages;
  messages.push_back(rig.delivery(EngineRig::event(1), 1));
  messages.push_back(rig.delivery(EngineRig::event(2, R"({"do":"retry"})"), 2));
  messages.push_back(rig.delivery(EngineRig::event(3, R"({"do":"dead"})"), 3));
  messages.push_back(rig.delivery(EngineRig::event(4), 4));
  rig.process(std::move(messages));
  CHECK(rig.db.value("SELECT string_agg(idempotency_key, ', ' ORDER BY idempotency_key) FROM effects") == "key 1, key 4");
  CHECK(rig.source.acks() == 3);
  CHECK(rig.source.answers(2).naks.size() == 1);
  CHECK(rig.batches == std::vector<std::size_t>{4});
}

TEST_CASE("outgoing events leave with the batch, with ids, cause and correlation", "[engine]") {
  EngineRig rig;
  rig.script.emit = true;
  rig.script.emit_name = "test.effect_noted";
  rig.restart();
  EventDraft event = EngineRig::event(1);
  event.correlation_id = "corr-77";
  event.tenant_scope = "acme";
  rig.process(rig.delivery(event, 1));
  CHECK(rig.db.value("SELECT subject || '|' || key || '|' || (message_id = event_id)::text FROM cutover.outbox") == "test.effect_noted|s1|true");
  const std::string payload = rig.db.value("SELECT convert_from(payload, 'UTF8') FROM cutover.outbox");
  CHECK_THAT(payload, ContainsSubstring("\"correlation_id\":\"corr-77\"") && ContainsSubstring("\"causation_id\":\"" + event.id() + "\"") &&
                          ContainsSubstring("\"tenant_scope\":\"acme\"") && ContainsSubstring("\"producer\":\"test-worker\""));
  CHECK(rig.db.value("SELECT worker FROM cutover.outbox JOIN cutover.workers USING (worker_id)") == "test-worker");
}
