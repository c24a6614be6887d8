// What every Publisher must do: the real one and the one in memory.

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include "conformance/brokers.h"
#include "fixtures/broker_driver.h"

using namespace cutover;
using namespace cutover::test;
using namespace std::chrono_literals;

TEMPLATE_TEST_CASE("every publication gets its place, in order", "[publisher]", RealBroker, InMemory) {
  TestType broker;
  broker.create_stream("CORE", {"core.>"});
  auto publisher = broker.publisher();
  CHECK(publisher->publish({}, soon()).empty());
  std::vector<PublishAck> acks = publish_numbers(*publisher, "core.x", 1, 6'000);
  REQUIRE(acks.size() == 6'000);
  for (std::size_t i = 0; i < acks.size(); ++i) {
    CHECK(acks[i].stored);
    CHECK_FALSE(acks[i].duplicate);
    CHECK(acks[i].stream == "CORE");
    CHECK(acks[i].sequence == i + 1);
    CHECK(acks[i].error.empty());
  }
}

TEMPLATE_TEST_CASE("a message id that was stored before is a duplicate at its first place", "[publisher]",
                   RealBroker, InMemory) {
  TestType broker;
  broker.create_stream("CORE", {"core.>"});
  auto publisher = broker.publisher();
  publish_numbers(*publisher, "core.x", 1, 3);
  std::vector<PublishAck> acks = publish_numbers(*publisher, "core.x", 2, 3);
  REQUIRE(acks.size() == 3);
  CHECK(acks[0].stored);
  CHECK(acks[0].duplicate);
  CHECK(acks[0].sequence == 2);
  CHECK(acks[1].duplicate);
  CHECK_FALSE(acks[2].duplicate);
  CHECK(acks[2].sequence == 4);
}

TEMPLATE_TEST_CASE("a subject without stream fails alone and says so", "[publisher]", RealBroker, InMemory) {
  TestType broker;
  broker.create_stream("CORE", {"core.>"});
  auto publisher = broker.publisher();
  std::vector<Publication> publications(3);
  publications[0].subject = "core.a";
  publications[1].subject = "nowhere.b";
  publications[2].subject = "core.c";
  auto begun = std::chrono::steady_clock::now();
  std::vector<PublishAck> acks = publisher->publish(publications, soon());
  CHECK(std::chrono::steady_clock::now() - begun < 5s);
  CHECK(acks[0].stored);
  CHECK_FALSE(acks[1].stored);
  CHECK(acks[1].error == "no stream covers subject nowhere.b");
  CHECK(acks[2].stored);
  CHECK(acks[2].sequence == 2);
}

TEMPLATE_TEST_CASE("message ids are read back, with gaps", "[publisher]", RealBroker, InMemory) {
  TestType broker;
  broker.create_stream("CORE", {"core.>"});
  auto publisher = broker.publisher();
  publish_numbers(*publisher, "core.x", 1, 3);
  Publication anonymous;
  anonymous.subject = "core.x";
  anonymous.payload = "\"hdrs\":\"x\"";
  publisher->publish({&anonymous, 1}, soon());
  publish_numbers(*publisher, "core.x", 5, 2'000);
  broker.delete_message("CORE", 2);

  std::vector<std::uint64_t> sequences{3, 1, 2, 4, 2'004, 9'999, 1};
  for (std::uint64_t i = 5; i <= 2'004; ++i) sequences.push_back(i);
  auto ids = publisher->message_ids("CORE", sequences, soon());
  REQUIRE(ids.size() == sequences.size());
  CHECK(ids[0] == "m3");
  CHECK(ids[1] == "m1");
  CHECK(ids[2] == std::nullopt);
  CHECK(ids[3] == std::nullopt);
  CHECK(ids[4] == "m2004");
  CHECK(ids[5] == std::nullopt);
  CHECK(ids[6] == "m1");
  for (std::uint64_t i = 5; i <= 2'004; ++i) CHECK(ids[i + 2] == "m" + std::to_string(i));
  CHECK(publisher->message_ids("CORE", {}, soon()).empty());
  CHECK_THROWS_AS(publisher->message_ids("NONE", sequences, soon()), BrokerError);
}

TEMPLATE_TEST_CASE("message ids of a long run are read back, with gaps", "[publisher]", RealBroker,
                   InMemory) {
  TestType broker;
  broker.create_stream("CORE", {"core.>"});
  auto publisher = broker.publisher();
  publish_numbers(*publisher, "core.x", 1, 6'000);
  Publication anonymous;
  anonymous.subject = "core.y";
  publisher->publish({&anonymous, 1}, soon());
  publish_numbers(*publisher, "core.z", 6'002, 3'998);
  for (std::uint64_t gone : {500, 501, 7'000, 9'999}) broker.delete_message("CORE", gone);

  std::vector<std::uint64_t> sequences;
  for (std::uint64_t i = 10'010; i >= 400; i -= 2) sequences.push_back(i);
  for (std::uint64_t i = 9'999; i >= 5'001; i -= 2) sequences.push_back(i);
  auto ids = publisher->message_ids("CORE", sequences, soon());
  REQUIRE(ids.size() == sequences.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    std::uint64_t n = sequences[i];
    bool there = n <= 9'999 && n != 500 && n != 7'000 && n != 9'999 && n != 6'001;
    CHECK(ids[i] == (there ? std::optional("m" + std::to_string(n)) : std::nullopt));
  }
  // The same again, and something else: nothing is left over from the first time.
  CHECK(publisher->message_ids("CORE", sequences, soon()) == ids);
  CHECK(publish_numbers(*publisher, "core.x", 20'001, 1).front().sequence == 10'000);
}

TEMPLATE_TEST_CASE("a stream's life is its creation time", "[publisher]", RealBroker, InMemory) {
  TestType broker;
  auto publisher = broker.publisher();
  CHECK(publisher->stream_life("CORE", soon()) == std::nullopt);
  broker.create_stream("CORE", {"core.>"});
  auto life = publisher->stream_life("CORE", soon());
  REQUIRE(life);
  CHECK(life->last_sequence == 0);
  CHECK(life->created_at > SystemClock().now() - 1min);
  publish_numbers(*publisher, "core.x", 1, 5);
  broker.delete_message("CORE", 1);
  auto later = publisher->stream_life("CORE", soon());
  REQUIRE(later);
  CHECK(later->created_at == life->created_at);
  CHECK(later->first_sequence == 2);
  CHECK(later->last_sequence == 5);

  broker.delete_stream("CORE");
  broker.create_stream("CORE", {"core.>"});
  auto second = publisher->stream_life("CORE", soon());
  REQUIRE(second);
  CHECK(second->created_at != life->created_at);
}
