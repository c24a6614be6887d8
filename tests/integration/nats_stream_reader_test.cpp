// Reading what a stream holds without being one of its consumers.
#include "runtime/nats/stream_reader.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "fixtures/broker_driver.h"
#include "fixtures/real_broker.h"

using namespace cutover;
using namespace cutover::test;
using namespace std::chrono_literals;

namespace {

struct Seen {
  std::vector<std::uint64_t> sequences;
  std::vector<std::string> payloads;
  std::uint64_t count = 0;
};

Seen read(RealBroker& broker, const StreamRange& range) {
  Seen seen;
  seen.count = read_stream(
      broker.connection, range,
      [&](Message&& message) {
        seen.sequences.push_back(message.stream_sequence);
        seen.payloads.emplace_back(message.data);
      },
      soon());
  return seen;
}

}  // namespace

TEST_CASE("a stretch of a stream is read in order, through its filter, and leaves no consumer behind",
          "[nats]") {
  RealBroker broker;
  broker.create_stream("CORE", {"core.>"});
  auto publisher = broker.publisher();
  for (int i = 0; i < 10; ++i) publish_numbers(*publisher, i % 2 == 0 ? "core.even" : "core.odd", i, 1);
  broker.delete_message("CORE", 5);  // "4"

  const Seen all = read(broker, {"CORE", "", 3, 8});
  CHECK(all.sequences == std::vector<std::uint64_t>{3, 4, 6, 7, 8});
  CHECK(all.count == 5);
  CHECK(all.payloads == std::vector<std::string>{"2", "3", "5", "6", "7"});
  CHECK(read(broker, {"CORE", "core.even", 1, 100}).sequences == std::vector<std::uint64_t>{1, 3, 7, 9});
  CHECK(read(broker, {"CORE", "core.even", 1, 100, true}).payloads == std::vector<std::string>(4));
  CHECK(read(broker, {"CORE", "core.none", 1, 100}).count == 0);
  CHECK(read(broker, {"CORE", "", 11, 100}).count == 0);
  CHECK(read(broker, {"CORE", "", 1, 0}).count == 0);
  CHECK(broker.admin.consumers("CORE").empty());
}

TEST_CASE("more than many pulls are read whole", "[nats]") {
  RealBroker broker;
  broker.create_stream("CORE", {"core.>"});
  auto publisher = broker.publisher();
  publish_numbers(*publisher, "core.a", 1, 10'000);
  const Seen seen = read(broker, {"CORE", "core.>", 2, 9'999});
  REQUIRE(seen.sequences.size() == 9'998);
  CHECK(seen.sequences.front() == 2);
  CHECK(seen.sequences.back() == 9'999);
}

TEST_CASE("a stream that is not there cannot be read", "[nats]") {
  RealBroker broker;
  CHECK_THROWS_AS(read(broker, {"NOWHERE", "", 1, 1}), BrokerError);
}
