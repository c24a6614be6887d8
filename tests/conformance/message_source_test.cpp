// What every MessageSource must do: the real one and the one in memory.

#include <algorithm>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <random>
#include <thread>

#include "conformance/brokers.h"
#include "fixtures/broker_driver.h"

using namespace cutover;
using namespace cutover::test;
using namespace std::chrono_literals;
using Condition = LaneState::Condition;

TEMPLATE_TEST_CASE("messages arrive in order with all that was published", "[source]", RealBroker, InMemory) {
  TestType broker;
  broker.create_stream("CORE", {"core.>"});
  auto publisher = broker.publisher();
  Publication publication;
  publication.subject = "core.changed.token";
  publication.message_id = "first";
  publication.payload = "{\"a\":1}";
  publication.headers = {{"Cutover-Key", "k1"}, {"traceparent", ""}, {"X-Many", "1"}, {"tracestate", "a: b"}};
  REQUIRE(publisher->publish({&publication, 1}, soon()).front().stored);
  publish_numbers(*publisher, "core.changed", 2, 9);

  auto source = broker.source("w", {lane("main", "CORE", "core.>")});
  std::vector<Message> messages = take(*source, 4);
  REQUIRE(messages.size() == 4);
  const Message& first = messages.front();
  CHECK(first.subject == "core.changed.token");
  CHECK(first.data == "{\"a\":1}");
  CHECK(std::all_of(first.data.end(), first.data.end() + kPayloadPadding, [](char c) { return c == 0; }));
  CHECK(first.header("Nats-Msg-Id") == "first");
  CHECK(first.header("Cutover-Key") == "k1");
  CHECK(first.header("traceparent").empty());
  CHECK(first.header("X-Many") == "1");
  CHECK(first.header("tracestate") == "a: b");
  CHECK(first.header("cutover-key").empty());
  CHECK(first.headers.size() == 5);
  CHECK(first.lane == 0);
  CHECK(first.deliveries == 1);
  CHECK(first.published_at <= SystemClock().now());
  CHECK(first.published_at > SystemClock().now() - 1min);
  CHECK(first.received_at <= std::chrono::steady_clock::now());
  for (std::size_t i = 0; i < messages.size(); ++i) CHECK(messages[i].stream_sequence == i + 1);
  CHECK(payloads(messages)[3] == "4");
  CHECK(messages[3].headers.size() == 1);
}

TEMPLATE_TEST_CASE("an acked message does not come again, another one does after ack_wait", "[source]",
                   RealBroker, InMemory) {
  TestType broker;
  broker.create_stream("CORE", {"core.>"});
  auto publisher = broker.publisher();
  publish_numbers(*publisher, "core.x", 1, 3);
  auto source = broker.source("w", {lane("main", "CORE", "core.>", 4, 400ms)});
  std::vector<Message> messages = take(*source, 3);
  REQUIRE(messages.size() == 3);
  source->ack(messages[0].reply);
  source->ack(messages[2].reply);
  REQUIRE(source->flush(soon()));
  source->release(0, 3);

  std::vector<Message> again = take(*source, 1);
  REQUIRE(again.size() == 1);
  CHECK(again[0].data == "2");
  CHECK(again[0].stream_sequence == 2);
  CHECK(again[0].deliveries == 2);
  CHECK(again[0].received_at - messages[1].received_at >= 350ms);
  source->ack(again[0].reply);
  source->release(0, 1);
  CHECK(take(*source, 1, in(600ms)).empty());
  CHECK(broker.ack_pending("CORE", "w-main") == 0);
}

TEMPLATE_TEST_CASE("a negative ack brings the message again, at once or after its delay", "[source]",
                   RealBroker, InMemory) {
  TestType broker;
  broker.create_stream("CORE", {"core.>"});
  publish_numbers(*broker.publisher(), "core.x", 1, 1);
  auto source = broker.source("w", {lane("main", "CORE", "core.>")});
  std::vector<Message> first = take(*source, 1);
  REQUIRE(first.size() == 1);
  source->release(0, 1);
  source->nak(first[0].reply, 0ms);
  std::vector<Message> second = take(*source, 1);
  REQUIRE(second.size() == 1);
  CHECK(second[0].deliveries == 2);
  source->release(0, 1);

  auto sent = std::chrono::steady_clock::now();
  source->nak(second[0].reply, 500ms);
  std::vector<Message> third = take(*source, 1);
  REQUIRE(third.size() == 1);
  CHECK(third[0].deliveries == 3);
  CHECK(third[0].received_at - sent >= 480ms);
}

TEMPLATE_TEST_CASE("in-progress restarts ack_wait", "[source]", RealBroker, InMemory) {
  TestType broker;
  broker.create_stream("CORE", {"core.>"});
  publish_numbers(*broker.publisher(), "core.x", 1, 1);
  auto source = broker.source("w", {lane("main", "CORE", "core.>", 4, 600ms)});
  std::vector<Message> messages = take(*source, 1);
  REQUIRE(messages.size() == 1);
  source->release(0, 1);
  std::vector<Message> extra;
  Deadline extended{};
  for (int i = 0; i < 4; ++i) {
    Deadline until = in(300ms);
    drive(
        *source, [&] { return std::chrono::steady_clock::now() >= until; }, &extra);
    extended = std::chrono::steady_clock::now();
    source->in_progress(messages[0].reply);
  }
  CHECK(extra.empty());
  std::vector<Message> again = take(*source, 1);
  REQUIRE(again.size() == 1);
  CHECK(again[0].received_at - extended >= 550ms);
}

TEMPLATE_TEST_CASE("what is pulled and not released never exceeds the prefetch", "[source]", RealBroker,
                   InMemory) {
  TestType broker;
  broker.create_stream("CORE", {"core.>"});
  auto publisher = broker.publisher();
  constexpr int kTotal = 3'000;
  publish_numbers(*publisher, "core.x", 1, kTotal);
  auto seed = GENERATE(1u, 2u, 3u);
  std::size_t batch = GENERATE(1u, 5u, 40u);
  std::size_t batches = GENERATE(2u, 3u, 4u);
  std::mt19937 random(seed);
  auto source = broker.source("w", {lane("main", "CORE", "core.>", batch)}, batches);
  const std::size_t prefetch = batch * batches;

  std::size_t got = 0, held = 0, largest = 0;
  std::uint64_t last = 0;
  Deadline end = soon();
  const std::size_t wanted = std::min<std::size_t>(kTotal, 60 * prefetch);
  while (got < wanted && std::chrono::steady_clock::now() < end) {
    std::vector<Message> messages;
    source->receive(messages, 1 + random() % (2 * prefetch), in(random() % 3 ? 0ms : 5ms), {});
    for (const Message& message : messages) {
      CHECK(message.stream_sequence == last + 1);
      last = message.stream_sequence;
      source->ack(message.reply);
    }
    got += messages.size();
    held += messages.size();
    largest = std::max(largest, held);
    if (held == prefetch || random() % 4 == 0) {
      std::size_t count = held == 0 ? 0 : 1 + random() % held;
      source->release(0, count);
      held -= count;
    }
  }
  CHECK(got >= wanted);
  CHECK(largest <= prefetch);
  CHECK(largest > prefetch / 2);
}

TEMPLATE_TEST_CASE("without release exactly the prefetch arrives", "[source]", RealBroker, InMemory) {
  TestType broker;
  broker.create_stream("CORE", {"core.>"});
  publish_numbers(*broker.publisher(), "core.x", 1, 100);
  auto source = broker.source("w", {lane("main", "CORE", "core.>", 7)}, 3);
  CHECK(take(*source, 21).size() == 21);
  CHECK(take(*source, 1, in(300ms)).empty());
  source->release(0, 1);
  CHECK(take(*source, 1).size() == 1);
  CHECK(take(*source, 1, in(200ms)).empty());
  source->release(0, 21);
  CHECK(take(*source, 21).size() == 21);
}

TEMPLATE_TEST_CASE("at most max messages a call, and none after the deadline or stop", "[source]", RealBroker,
                   InMemory) {
  TestType broker;
  broker.create_stream("CORE", {"core.>"});
  auto source = broker.source("w", {lane("main", "CORE", "core.>", 10)});
  std::vector<Message> out;
  auto begun = std::chrono::steady_clock::now();
  source->receive(out, 5, in(100ms), {});
  CHECK(out.empty());
  CHECK(std::chrono::steady_clock::now() - begun >= 95ms);

  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  source->receive(out, 5, in(1h), stop.get_token());
  CHECK(out.empty());

  publish_numbers(*broker.publisher(), "core.x", 1, 12);
  REQUIRE(take(*source, 1).size() == 1);
  out.clear();
  while (out.size() < 5) source->receive(out, 5 - out.size(), soon(), {});
  CHECK(out.size() == 5);
  source->receive(out, 0, soon(), {});
  CHECK(out.size() == 5);
}

TEMPLATE_TEST_CASE("lanes have their own subjects, and a paused one stands still", "[source]", RealBroker,
                   InMemory) {
  TestType broker;
  broker.create_stream("CORE", {"core.>"});
  broker.create_stream("OTHER", {"other.>"});
  auto publisher = broker.publisher();
  auto source = broker.source(
      "w", {lane("a", "CORE", "core.a"), lane("b", "CORE", "core.b.*"), lane("c", "OTHER", "other.>")});
  take(*source, 1, in(300ms));
  source->pause(1, true);
  take(*source, 1, in(1'200ms));  // longer than the pulls that were open before the pause
  publish_numbers(*publisher, "core.a", 1, 2);
  publish_numbers(*publisher, "core.b.x", 11, 2);
  publish_numbers(*publisher, "other.z", 21, 2);

  std::vector<Message> messages = take(*source, 4);
  REQUIRE(messages.size() == 4);
  for (const Message& message : messages) CHECK(message.lane == (message.subject == "core.a" ? 0u : 2u));
  CHECK(take(*source, 1, in(300ms)).empty());
  source->pause(1, false);
  messages = take(*source, 2);
  REQUIRE(messages.size() == 2);
  CHECK(messages[0].lane == 1);
  CHECK(messages[0].data == "11");
}

TEMPLATE_TEST_CASE("a missing stream is said, and served when it comes", "[source]", RealBroker, InMemory) {
  TestType broker;
  auto source = broker.source("w", {lane("main", "CORE", "core.>")});
  CHECK(drive(*source, [&] { return source->state(0).condition == Condition::missing; }));
  CHECK(source->state(0).detail.find("no stream CORE") != std::string::npos);
  broker.create_stream("CORE", {"core.>"});
  publish_numbers(*broker.publisher(), "core.x", 1, 2);
  CHECK(take(*source, 2).size() == 2);
  CHECK(source->state(0).condition == Condition::running);
  CHECK(source->state(0).detail.empty());
}

TEMPLATE_TEST_CASE("a deleted consumer is created again and goes on behind what was settled", "[source]",
                   RealBroker, InMemory) {
  TestType broker;
  broker.create_stream("CORE", {"core.>"});
  auto publisher = broker.publisher();
  publish_numbers(*publisher, "core.x", 1, 6);
  auto source = broker.source("w", {lane("main", "CORE", "core.>", 6)});
  std::vector<Message> messages = take(*source, 6);
  REQUIRE(messages.size() == 6);
  for (std::size_t i = 0; i < 4; ++i) source->ack(messages[i].reply);
  source->release(0, 6);
  REQUIRE(source->flush(soon()));
  // The next look at the consumer sees the acks.
  REQUIRE(drive(*source, [&] { return source->state(0).ack_pending == 2; }));

  broker.delete_consumer("CORE", "w-main");
  publish_numbers(*publisher, "core.x", 7, 2);
  messages = take(*source, 4);
  CHECK(payloads(messages) == std::vector<std::string>{"5", "6", "7", "8"});
  CHECK(source->state(0).condition == Condition::running);
}

TEMPLATE_TEST_CASE("a stream that was deleted and created again is never read on", "[source]", RealBroker,
                   InMemory) {
  TestType broker;
  broker.create_stream("CORE", {"core.>"});
  broker.create_stream("OTHER", {"other.>"});
  auto publisher = broker.publisher();
  publish_numbers(*publisher, "core.x", 1, 2);
  auto source = broker.source("w", {lane("main", "CORE", "core.>"), lane("other", "OTHER", "other.>")});
  std::vector<Message> old = take(*source, 2);
  REQUIRE(old.size() == 2);
  source->release(0, 2);

  broker.delete_stream("CORE");
  broker.create_stream("CORE", {"core.>"});
  publish_numbers(*publisher, "core.x", 101, 3);
  std::vector<Message> messages;
  REQUIRE(drive(
      *source, [&] { return source->state(0).condition == Condition::recreated; }, &messages));
  CHECK(messages.empty());
  CHECK(source->state(0).detail.find("created again") != std::string::npos);

  publish_numbers(*publisher, "other.x", 201, 1);
  publish_numbers(*publisher, "core.x", 104, 1);
  messages = take(*source, 1);
  REQUIRE(messages.size() == 1);
  CHECK(messages[0].lane == 1);
  CHECK(take(*source, 1, in(500ms)).empty());
}

TEMPLATE_TEST_CASE("the state tells what waits and what is not acked", "[source]", RealBroker, InMemory) {
  TestType broker;
  broker.create_stream("CORE", {"core.>"});
  publish_numbers(*broker.publisher(), "core.x", 1, 50);
  auto source = broker.source("w", {lane("main", "CORE", "core.>", 5)}, 2);
  std::vector<Message> messages = take(*source, 10);
  REQUIRE(messages.size() == 10);
  CHECK(drive(*source, [&] { return source->state(0).pending == 40 && source->state(0).ack_pending == 10; }));
}

TEMPLATE_TEST_CASE("acks come from any thread while messages are received", "[source]", RealBroker,
                   InMemory) {
  TestType broker;
  broker.create_stream("CORE", {"core.>"});
  constexpr std::size_t kTotal = 2'000;
  publish_numbers(*broker.publisher(), "core.x", 1, kTotal);
  auto source = broker.source("w", {lane("main", "CORE", "core.>", 50)});
  std::size_t got = 0;
  Deadline end = soon();
  while (got < kTotal && std::chrono::steady_clock::now() < end) {
    std::vector<Message> messages;
    source->receive(messages, 50, in(50ms), {});
    got += messages.size();
    std::jthread settle([&source, messages = std::move(messages)] {
      for (const Message& message : messages) source->ack(message.reply);
      source->release(0, messages.size());
      source->state(0);
    });
  }
  CHECK(got == kTotal);
  CHECK(source->flush(soon()));
  CHECK(drive(*source, [&] { return broker.ack_pending("CORE", "w-main") == 0; }));
}
