#include "runtime/nats/ack_reply.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string>

using namespace cutover;

TEST_CASE("a reply subject tells stream, consumer and place", "[nats]") {
  // Old, with domain and account, and with the random token that newer servers append.
  std::string subject =
      GENERATE("$JS.ACK.CORE.w-main.2.1234567890123.77.1667310000123456789.42",
               "$JS.ACK._.ACC.CORE.w-main.2.1234567890123.77.1667310000123456789.42",
               "$JS.ACK.hub.ACC.CORE.w-main.2.1234567890123.77.1667310000123456789.42.a1b2");
  auto reply = parse_ack_reply(subject);
  REQUIRE(reply);
  CHECK(reply->stream == "CORE");
  CHECK(reply->consumer == "w-main");
  CHECK(reply->deliveries == 2);
  CHECK(reply->stream_sequence == 1234567890123);
  CHECK(reply->consumer_sequence == 77);
  CHECK(reply->published_at.time_since_epoch().count() == 1667310000123456);
  CHECK(reply->pending == 42);
}

TEST_CASE("other subjects are no reply", "[nats]") {
  std::string subject = GENERATE("", "_INBOX.abc.1", "$JS.ACK", "$JS.ACK.", "$JS.ACK.CORE.w-main.2.3.4.5",
                                 "$JS.ACK.CORE.w-main.2.3.4.5.6.7", "$JS.ACK.CORE.w-main.x.3.4.5.6",
                                 "$JS.ACK.CORE.w-main.2..4.5.6", "$JS.ACK.CORE.w-main.-2.3.4.5.6",
                                 "$JS.ACK.CORE.w-main.2.3.4.5.99999999999999999999999");
  CHECK_FALSE(parse_ack_reply(subject));
}
