// What only the real source can show: the server restarts, stands still, loses its end.

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <set>

#include "fixtures/broker_driver.h"
#include "fixtures/real_broker.h"

using namespace cutover;
using namespace cutover::test;
using namespace std::chrono_literals;
using nlohmann::json;
using Condition = LaneState::Condition;

namespace {

struct Notices {
  std::vector<std::string> all;
  PullOptions options = RealBroker::pull_options();

  Notices() {
    options.notice = [this](std::size_t, const std::string& text) { all.push_back(text); };
  }
  bool say(const std::string& part) const {
    return std::any_of(all.begin(), all.end(),
                       [&](const std::string& text) { return text.find(part) != std::string::npos; });
  }
};

std::set<std::uint64_t> sequences(const std::vector<Message>& messages) {
  std::set<std::uint64_t> all;
  for (const Message& message : messages) all.insert(message.stream_sequence);
  return all;
}

}  // namespace

TEST_CASE("prepare makes the consumers, and says why it cannot", "[nats]") {
  RealBroker broker;
  auto source = broker.pull_source("w", {lane("main", "CORE", "core.>"), lane("late", "LATER", "later.>")},
                                   RealBroker::pull_options());
  broker.create_stream("CORE", {"core.>"});
  try {
    source->prepare(in(1s));
    FAIL("no error");
  } catch (const BrokerError& error) {
    CHECK(std::string(error.what()) ==
          "cannot consume w-late: there is no stream LATER; create it with `cutover streams apply`");
  }
  broker.create_stream("LATER", {"later.>"});
  source->prepare(soon());

  json config = (*broker.admin.consumer("CORE", "w-main"))["config"];
  CHECK(config["durable_name"] == "w-main");
  CHECK(config["ack_policy"] == "explicit");
  CHECK(config["deliver_policy"] == "all");
  CHECK(config["ack_wait"] == 30'000'000'000);
  CHECK(config["max_ack_pending"] == 10'000);
  CHECK(config["max_deliver"] == -1);
  CHECK(config["filter_subject"] == "core.>");
  CHECK_FALSE(config.contains("inactive_threshold"));
}

TEST_CASE("a consumer that differs is adapted in place", "[nats]") {
  RealBroker broker;
  broker.create_stream("CORE", {"core.>"});
  publish_numbers(*broker.publisher(), "core.x", 1, 4);
  broker.admin.put_consumer("CORE", {{"durable_name", "w-main"},
                                     {"ack_policy", "explicit"},
                                     {"ack_wait", 1'000'000'000},
                                     {"max_ack_pending", 1},
                                     {"max_deliver", 2},
                                     {"max_batch", 1},
                                     {"inactive_threshold", 60'000'000'000},
                                     {"filter_subject", "core.>"}});
  json before = *broker.admin.consumer("CORE", "w-main");
  auto source = broker.source("w", {lane("main", "CORE", "core.>")});
  CHECK(take(*source, 4).size() == 4);
  json after = *broker.admin.consumer("CORE", "w-main");
  CHECK(after["created"] == before["created"]);
  CHECK(after["config"]["max_deliver"] == -1);
  CHECK(after["config"]["ack_wait"] == 30'000'000'000);
  CHECK_FALSE(after["config"].contains("max_batch"));
  CHECK_FALSE(after["config"].contains("inactive_threshold"));
}

TEST_CASE("a consumer that read another subject is created again, but not against a running version",
          "[nats]") {
  RealBroker broker;
  broker.create_stream("CORE", {"core.>"});
  publish_numbers(*broker.publisher(), "core.x", 1, 4);
  auto old_version = broker.source("w", {lane("main", "CORE", "core.y")});
  REQUIRE(drive(*old_version, [&] { return old_version->state(0).condition == Condition::running; }));
  // Changed in place, nats-server 2.9 would never deliver what is there already.
  auto source = broker.source("w", {lane("main", "CORE", "core.>")});
  CHECK(take(*source, 4).size() == 4);
  REQUIRE(drive(*old_version, [&] { return old_version->state(0).condition == Condition::missing; }));
  CHECK(old_version->state(0).detail.find("another version of the worker runs") != std::string::npos);
}

TEST_CASE("a consumer that cannot be adapted stops the lane with the reason", "[nats]") {
  RealBroker broker;
  broker.create_stream("CORE", {"core.>"});
  broker.admin.put_consumer(
      "CORE", {{"durable_name", "w-main"}, {"ack_policy", "none"}, {"filter_subject", "core.>"}});
  auto source = broker.source("w", {lane("main", "CORE", "core.>")});
  REQUIRE(drive(*source, [&] { return source->state(0).condition == Condition::missing; }));
  CHECK(source->state(0).detail.find("cannot be made as the lane wants it") != std::string::npos);
  broker.delete_consumer("CORE", "w-main");
  CHECK(drive(*source, [&] { return source->state(0).condition == Condition::running; }));
}

TEST_CASE("a restarted server is served on, and nothing is lost", "[nats]") {
  RealBroker broker;
  broker.create_stream("CORE", {"core.>"});
  auto publisher = broker.publisher();
  auto source = broker.source("w", {lane("main", "CORE", "core.>", 50, 1s)});
  std::set<std::uint64_t> got;
  std::vector<Message> messages;
  auto settle = [&] {
    for (const Message& message : messages) source->ack(message.reply);
    source->release(0, messages.size());
    got.merge(sequences(messages));
    messages.clear();
  };
  int published = 0;
  for (bool hard : {false, true, false}) {
    std::uint64_t epoch = publisher->connection_epoch();
    for (const PublishAck& ack : publish_numbers(*publisher, "core.x", published + 1, 1'000))
      REQUIRE(ack.stored);
    published += 1'000;
    source->receive(messages, 100, soon(), {});
    hard ? broker.server.kill() : broker.server.stop();
    REQUIRE(drive(
        *source, [&] { return source->state(0).condition == Condition::unreachable; }, &messages));
    CHECK(source->state(0).detail.find("not connected to " + broker.server.url()) != std::string::npos);
    CHECK_FALSE(source->flush(in(50ms)));
    settle();
    broker.server.start();
    REQUIRE(drive(
        *source,
        [&] { return got.size() + sequences(messages).size() > 0 && publisher->connection_epoch() > epoch; },
        &messages));
    REQUIRE(drive(
        *source,
        [&] {
          settle();
          return got.size() == static_cast<std::size_t>(published);
        },
        &messages));
  }
  CHECK(source->state(0).condition == Condition::running);
  CHECK(source->flush(soon()));
}

TEST_CASE("a work queue is served, also by a consumer that had to be created again", "[nats]") {
  RealBroker broker;
  broker.admin.create_stream(
      {{"name", "REPLAY"}, {"subjects", {"replay.>"}}, {"retention", "workqueue"}});
  auto publisher = broker.publisher();
  auto source = broker.source("w", {lane("replay", "REPLAY", "replay.w.worker.>")});
  publish_numbers(*publisher, "replay.w.worker.main", 1, 3);
  publish_numbers(*publisher, "replay.w.monolith.main", 11, 2);
  std::vector<Message> messages = take(*source, 3);
  REQUIRE(payloads(messages) == std::vector<std::string>{"1", "2", "3"});
  source->ack(messages[0].reply);
  source->ack(messages[1].reply);
  source->release(0, 3);
  REQUIRE(drive(*source, [&] { return source->state(0).ack_pending == 1; }));
  broker.delete_consumer("REPLAY", "w-replay");
  publish_numbers(*publisher, "replay.w.worker.main", 21, 1);
  CHECK(payloads(take(*source, 2)) == std::vector<std::string>{"3", "21"});
  CHECK(source->state(0).condition == Condition::running);
}

TEST_CASE("a server that stands still is noticed by its heartbeats, and pulled again when it goes on",
          "[nats]") {
  RealBroker broker;
  broker.create_stream("CORE", {"core.>"});
  auto publisher = broker.publisher();
  auto source = broker.source("w", {lane("main", "CORE", "core.>", 5)}, 2);
  publish_numbers(*publisher, "core.x", 1, 1);
  REQUIRE(take(*source, 1).size() == 1);
  source->release(0, 1);

  broker.server.freeze();
  REQUIRE(drive(*source, [&] { return source->state(0).condition == Condition::unreachable; }));
  CHECK(source->state(0).detail.find("no heartbeat") != std::string::npos);
  broker.server.thaw();
  publish_numbers(*publisher, "core.x", 2, 30);
  std::vector<Message> messages = take(*source, 10);
  CHECK(messages.size() == 10);
  CHECK(source->state(0).condition == Condition::running);
  // The pulls from before the stop were withdrawn: they bring nothing beyond the prefetch.
  CHECK(take(*source, 1, in(1'500ms)).empty());
}

TEST_CASE("a consumer deleted between two looks is noticed by the broker's word", "[nats]") {
  RealBroker broker;
  broker.create_stream("CORE", {"core.>"});
  Notices notices;
  notices.options.probe_interval = 1h;
  notices.options.heartbeat = 300ms;
  auto source = broker.pull_source("w", {lane("main", "CORE", "core.>")}, notices.options);
  publish_numbers(*broker.publisher(), "core.x", 1, 2);
  REQUIRE(take(*source, 2).size() == 2);
  source->release(0, 2);
  auto begun = std::chrono::steady_clock::now();
  broker.delete_consumer("CORE", "w-main");
  REQUIRE(take(*source, 2).size() == 2);  // nothing was acked
  CHECK(std::chrono::steady_clock::now() - begun < 500ms);
}

TEST_CASE("a consumer that never delivers is pulled again, then called stalled", "[nats]") {
  RealBroker broker;
  broker.create_stream("CORE", {"core.>"});
  auto publisher = broker.publisher();
  LaneSpec spec = lane("main", "CORE", "core.>", 5);
  spec.max_ack_pending = 3;
  auto source = broker.pull_source("w", {spec}, RealBroker::pull_options());
  publish_numbers(*publisher, "core.x", 1, 10);
  std::vector<Message> messages = take(*source, 3);
  REQUIRE(messages.size() == 3);
  source->release(0, 3);
  REQUIRE(drive(*source, [&] { return source->state(0).condition == Condition::stalled; }));
  CHECK(source->state(0).detail ==
        "consumer w-main has 7 messages waiting but delivers none; all 3 places for unacknowledged ones are "
        "taken");
  for (const Message& message : messages) source->ack(message.reply);
  CHECK(take(*source, 3).size() == 3);
  CHECK(source->state(0).condition == Condition::running);
}

TEST_CASE("a source that ends hands back what it had not given out", "[nats]") {
  RealBroker broker;
  broker.create_stream("CORE", {"core.>"});
  publish_numbers(*broker.publisher(), "core.x", 1, 500);
  {
    auto source = broker.source("w", {lane("main", "CORE", "core.>", 50)}, 4);
    for (const Message& message : take(*source, 10)) source->ack(message.reply);
    REQUIRE(drive(
                *source, [&] { return broker.ack_pending("CORE", "w-main") >= 50; }, nullptr, in(100ms)) |
            true);
  }
  auto source = broker.source("w", {lane("main", "CORE", "core.>", 500)});
  auto begun = std::chrono::steady_clock::now();
  std::set<std::uint64_t> got;
  while (got.size() < 490 && std::chrono::steady_clock::now() - begun < 20s)
    got.merge(sequences(take(*source, 490 - got.size(), in(100ms))));
  CHECK(got.size() == 490);
  CHECK(std::chrono::steady_clock::now() - begun < 10s);  // ack_wait is 30 s
}

TEST_CASE("large messages arrive one by one and do not fill the memory", "[nats]") {
  RealBroker broker;
  broker.create_stream("CORE", {"core.>"});
  auto publisher = broker.publisher();
  constexpr std::size_t kLarge = 600'000, kBudget = 2'000'000;
  std::string large(kLarge, 'x');
  std::vector<Publication> publications(40);
  for (std::size_t i = 0; i < publications.size(); ++i) {
    publications[i].subject = "core.x";
    publications[i].payload = i % 10 == 0 ? "small" : std::string_view(large);
  }
  for (const PublishAck& ack : publisher->publish(publications, soon())) REQUIRE(ack.stored);

  PullOptions options = RealBroker::pull_options();
  options.prefetch_bytes = kBudget;
  auto source = broker.pull_source("w", {lane("main", "CORE", "core.>", 100)}, options);
  std::vector<Message> messages;
  drive(
      *source, [] { return false; }, &messages, in(700ms));
  std::size_t held = 0;
  for (const Message& message : messages) held += message.data.size();
  CHECK(held > 0);
  CHECK(held <= 2 * kBudget + kLarge);
  std::size_t got = 0;
  Deadline end = soon();
  while (got < publications.size() && std::chrono::steady_clock::now() < end) {
    for (const Message& message : messages) source->ack(message.reply);
    source->release(0, messages.size());
    got += messages.size();
    messages.clear();
    source->receive(messages, 10, in(100ms), {});
  }
  CHECK(got == publications.size());
}

TEST_CASE("a stream that lost its end is read again from there, though the consumer was ahead", "[nats]") {
  // nats-server 2.9 keeps the consumer where it was and never delivers what takes the lost sequences.
  RealBroker broker;
  auto restart_with = [&](const std::filesystem::path& saved) {
    broker.server.stop();  // not by force: the consumer's place must be on the disk
    auto files = broker.server.data() / "jetstream" / "$G" / "streams" / "CORE" / "msgs";
    std::filesystem::remove_all(files);
    std::filesystem::copy(saved, files, std::filesystem::copy_options::recursive);
    broker.server.start();
  };
  broker.create_stream("CORE", {"core.>"});
  auto publisher = broker.publisher();
  Notices notices;
  auto source = broker.pull_source("w", {lane("main", "CORE", "core.>", 100)}, notices.options);
  auto consume = [&](std::size_t count, std::set<std::uint64_t> unacked = {}) {
    std::vector<Message> messages = take(*source, count, in(5s));
    for (const Message& message : messages)
      if (!unacked.contains(message.stream_sequence)) source->ack(message.reply);
    source->release(0, messages.size());
    source->flush(soon());
    return sequences(messages);
  };
  publish_numbers(*publisher, "core.x", 1, 50);
  REQUIRE(consume(50, {7}).size() == 50);
  broker.server.stop();
  auto saved = broker.server.data() / "saved";
  std::filesystem::copy(broker.server.data() / "jetstream" / "$G" / "streams" / "CORE" / "msgs", saved,
                        std::filesystem::copy_options::recursive);
  broker.server.start();
  publish_numbers(*publisher, "core.x", 51, 50);
  REQUIRE(consume(50).size() == 50);

  std::vector<Message> early;
  SECTION("noticed while the stream is still short") {
    restart_with(saved);
    REQUIRE(drive(
        *source, [&] { return notices.say("lost its end"); }, &early));
    publish_numbers(*publisher, "core.x", 101, 20);
  }
  SECTION("noticed though other messages took the lost places before") {
    restart_with(saved);
    publish_numbers(*publisher, "core.x", 101, 70);
    REQUIRE(drive(
        *source, [&] { return notices.say("lost its end"); }, &early));
  }
  SECTION("noticed by a process that starts later") {
    source.reset();
    restart_with(saved);
    publish_numbers(*publisher, "core.x", 101, 20);
    source = broker.pull_source("w", {lane("main", "CORE", "core.>", 100)}, notices.options);
    REQUIRE(drive(
        *source, [&] { return notices.say("lost its end"); }, &early));
  }
  std::uint64_t last = publisher->stream_life("CORE", soon())->last_sequence;
  std::set<std::uint64_t> got = sequences(early);
  source->release(0, early.size());
  Deadline end = soon();
  auto complete = [&] {
    for (std::uint64_t i = 51; i <= last; ++i)
      if (!got.contains(i)) return false;
    return got.contains(7);
  };
  while (!complete() && std::chrono::steady_clock::now() < end) got.merge(consume(1));
  INFO("last " << last << ", got " << got.size() << ", " << source->state(0).detail);
  CHECK(complete());
  CHECK(source->state(0).condition == Condition::running);
}
