// The outbox relay on a real database and a real broker: order, halted keys, priorities, and what the broker lost.
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <map>
#include <random>

#include "fixtures/relay_rig.h"
#include "fixtures/server_addresses.h"
#include "fixtures/waiting.h"
#include "runtime/postgres/batch_transaction.h"

using namespace cutover;
using namespace cutover::test;
using namespace std::chrono_literals;
using Row = RelayRig::Row;
using Fault = FaultyPublisher::Fault;

namespace {

std::vector<Row> rows(int from, int count, const std::string& key = "k") {
  std::vector<Row> all;
  for (int n = from; n < from + count; ++n) all.push_back({.key = key, .n = n});
  return all;
}

// Rows 0..count-1 spread over `keys` keys.
std::vector<Row> spread(int count, int keys) {
  std::vector<Row> all;
  for (int n = 0; n < count; ++n) all.push_back({.key = "k" + std::to_string(n % keys), .n = n});
  return all;
}

void check_order(RelayRig& rig, int count, int keys) {
  std::map<std::string, std::vector<int>> by_key;
  std::vector<int> all;
  for (const StoredMessage& message : rig.broker.all(rig.stream)) {
    const int n = std::stoi(message.data.substr(5));
    by_key[message.header("Cutover-Key")].push_back(n);
    all.push_back(n);
  }
  for (const auto& [key, numbers] : by_key) {
    CAPTURE(key);
    CHECK(std::is_sorted(numbers.begin(), numbers.end()));
  }
  CHECK(by_key.size() == static_cast<std::size_t>(keys));
  std::sort(all.begin(), all.end());
  CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
  CHECK(all.size() == static_cast<std::size_t>(count));
}

}  // namespace

TEST_CASE("a row leaves as a message with id, key and headers, and its row says where it is", "[relay]") {
  RelayRig rig;
  rig.insert({{.key = "profile:4711", .message_id = "id-1", .n = 7}});
  rig.db.query(R"(UPDATE cutover.outbox SET headers = '{"traceparent": "00-a-b-01", "X-Empty": ""}', payload = '\x00ff7b')");
  rig.start();
  REQUIRE(rig.all_published());
  const StoredMessage message = rig.broker.message(rig.stream, 1).value();
  CHECK(message.subject == rig.subject);
  CHECK(message.data == std::string("\0\xff{", 3));
  CHECK(message.header("Nats-Msg-Id") == "id-1");
  CHECK(message.header("Cutover-Key") == "profile:4711");
  CHECK(message.header("traceparent") == "00-a-b-01");
  CHECK(rig.db.value("SELECT stream || '/' || sequence || ' ' || (published_at >= created_at)::text FROM cutover.outbox") == rig.stream + "/1 true");
}

TEST_CASE("rows of one key leave in insert order, with two relays at work", "[relay]") {
  RelayRig rig;
  rig.insert(spread(300, 7));
  rig.start();
  rig.start();
  rig.insert([] {
    std::vector<Row> more = spread(600, 7);
    more.erase(more.begin(), more.begin() + 300);
    return more;
  }());
  REQUIRE(rig.all_published());
  check_order(rig, 600, 7);
}

TEST_CASE("lost acks and failed publishes change neither order nor number", "[relay]") {
  RelayRig rig;
  rig.faults = [random = std::make_shared<std::mt19937>(5)](const Publication&) {
    const unsigned roll = (*random)() % 20;
    return roll == 0 ? Fault::not_sent : roll == 1 ? Fault::ack_lost : Fault::none;
  };
  rig.insert(spread(300, 30));
  rig.start();
  REQUIRE(rig.all_published(60s));
  check_order(rig, 300, 30);
  CHECK(rig.metrics.outbox().duplicates.value() > 0);
}

TEST_CASE("a key whose publish failed waits in order while others go on", "[relay]") {
  RelayRig rig;
  const std::string missing = unique_name("m") + ".note";
  rig.insert({{.key = "a", .n = 1}, {.key = "a", .subject = missing, .n = 2}, {.key = "a", .n = 3}, {.key = "b", .n = 4}});
  rig.start();
  REQUIRE(eventually([&] { return rig.waiting() == 2; }));
  rig.insert({{.key = "b", .n = 5}, {.key = "a", .n = 6}});
  REQUIRE(eventually([&] { return rig.waiting() == 3; }));
  CHECK(rig.numbers("b") == std::vector<int>{4, 5});
  CHECK(rig.numbers("a") == std::vector<int>{1});
  CHECK(eventually([&] { return rig.db.count("SELECT attempts FROM cutover.outbox WHERE error LIKE '%no stream covers%'") > 1; }));
  CHECK(rig.metrics.outbox().halted_keys.value() == 1);

  rig.broker.make_stream(unique_name("T_"), {missing});
  REQUIRE(rig.all_published());
  CHECK(rig.numbers("a") == std::vector<int>{1, 3, 6});
  CHECK(rig.db.value("SELECT string_agg(message_id, ' ') FROM cutover.outbox WHERE attempts > 0") == "m2");  // nobody tried the ones behind it
}

TEST_CASE("more stuck keys than a round takes do not block the rest, nor slow it down to the poll", "[relay]") {
  RelayRig rig;
  const std::string missing = unique_name("m") + ".note";
  std::vector<Row> stuck;
  for (int n = 0; n < 300; ++n) stuck.push_back({.key = "stuck" + std::to_string(n), .subject = missing, .n = n, .priority = 0});
  rig.insert(stuck);
  std::vector<Row> fine;
  for (int n = 1000; n < 2000; ++n) fine.push_back({.key = "fine" + std::to_string(n), .n = n, .priority = 9});
  rig.insert(fine);
  RelayOptions options;
  options.batch_max = 64;
  options.poll_interval = 30s;  // so that a pause between rounds shows
  rig.start(options);
  REQUIRE(eventually([&] { return rig.waiting() == 300; }, 25s));
}

TEST_CASE("urgent rows leave first, and the oldest keep a share", "[relay]") {
  RelayRig rig;
  std::vector<Row> all;
  for (int n = 0; n < 400; ++n) all.push_back({.key = "low" + std::to_string(n), .n = n, .priority = 9});
  for (int n = 400; n < 800; ++n) all.push_back({.key = "high" + std::to_string(n), .n = n, .priority = 0});
  rig.insert(all);
  RelayOptions options = RelayRig::fast();
  options.batch_max = 40;
  rig.start(options);
  REQUIRE(rig.all_published());
  const std::vector<int> order = rig.numbers();
  REQUIRE(order.size() == 800);
  // Of each round three quarters are urgent.
  CHECK(std::count_if(order.begin(), order.begin() + 400, [](int n) { return n >= 400; }) == 300);
  CHECK(std::count_if(order.begin(), order.begin() + 40, [](int n) { return n < 400; }) == 10);
}

TEST_CASE("an urgent row waits for the earlier rows of its key", "[relay]") {
  RelayRig rig;
  std::vector<Row> all;
  for (int n = 0; n < 100; ++n) all.push_back({.key = "other" + std::to_string(n), .n = n, .priority = 5});
  all.push_back({.key = "k", .n = 100, .priority = 9});
  all.push_back({.key = "k", .n = 101, .priority = 0});
  rig.insert(all);
  RelayOptions options = RelayRig::fast();
  options.batch_max = 8;
  rig.start(options);
  REQUIRE(rig.all_published());
  CHECK(rig.numbers("k") == std::vector<int>{100, 101});
  const std::vector<int> order = rig.numbers();
  CHECK(std::find(order.begin(), order.end(), 101) < order.begin() + 20);
}

TEST_CASE("a row that the stream holds already is published at the place of the first", "[relay]") {
  RelayRig rig;
  rig.broker.publish({rig.subject, R"({"n":1})", "m1"});
  rig.broker.publish({rig.subject, R"({"n":9})", "m9"});
  rig.insert(rows(1, 1));
  rig.start();
  REQUIRE(rig.all_published());
  CHECK(rig.db.value("SELECT sequence FROM cutover.outbox") == "1");
  CHECK(rig.broker.messages(rig.stream) == 2);
  CHECK(rig.metrics.outbox().duplicates.value() == 1);
}

TEST_CASE("after a reconnect the relay publishes again what the broker lost", "[relay]") {
  RelayRig rig(100ms);
  rig.insert(rows(1, 20));
  rig.start();
  REQUIRE(rig.all_published());
  for (std::uint64_t sequence : {3, 4, 20}) rig.broker.remove(rig.stream, sequence);
  // Within the stream's duplicate window the broker would still call them duplicates.
  REQUIRE(eventually([&] {
    ++rig.relays.front()->publisher.reconnects;
    return rig.broker.messages(rig.stream) == 20 && rig.waiting() == 0;
  }, 30s, 150ms));
  std::vector<int> numbers = rig.numbers();
  std::sort(numbers.begin(), numbers.end());
  CHECK(numbers == [] {
    std::vector<int> all;
    for (int n = 1; n <= 20; ++n) all.push_back(n);
    return all;
  }());
  CHECK(rig.metrics.outbox().republished.value() >= 3);
}

TEST_CASE("before a row is deleted its message is looked for, and a lost one is published again", "[relay]") {
  RelayRig rig(100ms);
  rig.insert(rows(1, 5));
  RelayOptions options = RelayRig::fast();
  options.keep = 0ms;
  rig.start();
  REQUIRE(rig.all_published());
  rig.stop();
  rig.broker.remove(rig.stream, 2);
  REQUIRE(eventually([&] { return rig.db.value("SELECT max(published_at) < clock_timestamp() - interval '0.5 s' FROM cutover.outbox") == "t"; }));
  rig.start(options);
  REQUIRE(eventually([&] {
    rig.clock.advance(10s);  // upkeep comes every 10 s
    rig.relays.front()->relay.wake();
    return rig.db.count("SELECT count(*) FROM cutover.outbox") == 0;
  }));
  CHECK(rig.broker.messages(rig.stream) == 5);
  CHECK(rig.numbers() == std::vector<int>{1, 3, 4, 5, 2});
}

TEST_CASE("old rows go while there are always others to publish", "[relay]") {
  RelayRig rig;
  rig.insert(spread(20'000, 100));
  RelayOptions options = RelayRig::fast();
  options.keep = 0ms;
  options.batch_max = 1;
  rig.start(options);
  REQUIRE(eventually([&] { return rig.waiting() < 19'990; }));
  rig.clock.advance(11s);  // the next upkeep is due
  REQUIRE(eventually([&] { return rig.db.count("SELECT count(*) FROM cutover.outbox") < 20'000; }));
  CHECK(rig.waiting() > 0);
}

TEST_CASE("what retention took from the stream is not published again", "[relay]") {
  RelayRig rig;
  rig.insert(rows(1, 5));
  rig.start();
  REQUIRE(rig.all_published());
  rig.broker.remove(rig.stream, 1);
  rig.broker.remove(rig.stream, 2);  // the stream begins at 3 now
  ++rig.relays.front()->publisher.reconnects;
  rig.insert(rows(6, 1));
  REQUIRE(rig.all_published());
  CHECK(rig.broker.messages(rig.stream) == 4);
  CHECK(rig.metrics.outbox().republished.value() == 0);
}

TEST_CASE("a relay is woken by NOTIFY and by its own process", "[relay]") {
  RelayRig rig;
  RelayOptions options;
  options.poll_interval = 10min;
  rig.start(options);
  rig.insert(rows(1, 1));
  REQUIRE(eventually([&] {
    rig.db.query("NOTIFY cutover_outbox");  // again until its LISTEN stands
    return rig.waiting() == 0;
  }, 30s, 50ms));
  rig.insert(rows(2, 1));
  rig.relays.front()->relay.wake();
  REQUIRE(rig.all_published());
}

TEST_CASE("a batch that writes outgoing events notifies relays of other processes when it is told to", "[relay]") {
  RelayRig rig;
  RelayOptions options;
  options.poll_interval = 10min;
  rig.start(options);
  // Until the relay listens.
  REQUIRE(eventually([&] { return rig.db.count("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' OR application_name = 'test relay' AND state = 'idle'") > 0; }));
  postgres::Connection connection(rig.db.options());
  connection.connect();
  rig.db.query("SELECT cutover.register_worker('test-worker')");
  postgres::Identity identity{.worker = "test-worker", .instance = "i", .build = "b"};
  identity.notify = true;
  REQUIRE(eventually([&] {
    bool started = false;
    postgres::PgBatchTransaction tx(connection, identity, started);
    OutboxRow row;
    row.message_id = unique_name("id");
    row.subject = rig.subject;
    row.key = "k";
    row.payload = R"({"n":1})";
    tx.enqueue(row);
    tx.commit();
    return eventually([&] { return rig.waiting() == 0; }, 2s);
  }));
}

TEST_CASE("a relay goes on after PostgreSQL ended its connections", "[relay]") {
  RelayRig rig;
  rig.insert(spread(50, 5));
  rig.start();
  REQUIRE(rig.all_published());
  rig.db.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test relay'");
  std::vector<Row> more = spread(100, 5);
  more.erase(more.begin(), more.begin() + 50);
  rig.insert(more);
  REQUIRE(rig.all_published());
  check_order(rig, 100, 5);
}

TEST_CASE("a broker that takes nothing costs attempts of rows, and nothing else", "[relay]") {
  RelayRig rig;
  std::atomic<bool> away{true};
  rig.faults = [&](const Publication&) { return away ? Fault::not_sent : Fault::none; };
  rig.insert(spread(400, 400));
  rig.start();
  REQUIRE(eventually([&] { return rig.db.count("SELECT count(*) FROM cutover.outbox WHERE attempts > 0") > 0; }));
  away = false;
  ++rig.relays.front()->publisher.reconnects;
  REQUIRE(rig.all_published());
  check_order(rig, 400, 400);
}
