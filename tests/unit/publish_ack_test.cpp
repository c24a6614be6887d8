#include "runtime/nats/publish_ack.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace cutover;

TEST_CASE("publish acks are read in every form", "[nats]") {
  PublishAck ack = parse_publish_ack(R"({"stream":"CORE", "seq":12})");
  CHECK(ack.stored);
  CHECK_FALSE(ack.duplicate);
  CHECK(ack.stream == "CORE");
  CHECK(ack.sequence == 12);

  ack = parse_publish_ack(R"({"stream":"CORE", "seq":18446744073709551615,"duplicate": true})");
  CHECK(ack.duplicate);
  CHECK(ack.sequence == 18446744073709551615u);

  ack = parse_publish_ack(
      R"({"seq": 7, "domain":"hub", "duplicate":true, "stream":"A\u0042", "more":{"a":[1]}})");
  CHECK(ack.stored);
  CHECK(ack.duplicate);
  CHECK(ack.stream == "AB");
  CHECK(ack.sequence == 7);
}

TEST_CASE("a refused publication says why", "[nats]") {
  PublishAck ack = parse_publish_ack(
      R"({"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"},"stream":"CORE","seq":0})");
  CHECK_FALSE(ack.stored);
  CHECK(ack.error == "maximum messages exceeded");
  CHECK(ack.sequence == 0);
}

TEST_CASE("an answer that is no ack is an error", "[nats]") {
  const char* text = GENERATE("", "hello", "[]", "{}", R"({"stream":"CORE"})", R"({"stream":5, "seq":1})",
                              R"({"stream":"CORE", "seq":-1})", R"({"stream":"CORE", "seq":1)",
                              R"({"stream":"CORE", "seq":1.5})", R"({"error":{}})");
  PublishAck ack = parse_publish_ack(text);
  CHECK_FALSE(ack.stored);
  CHECK_FALSE(ack.error.empty());
}

TEST_CASE("the message id is found in the stored headers", "[nats]") {
  // "NATS/1.0\r\nNats-Msg-Id: m1\r\n\r\n"
  CHECK(
      parse_message_id(
          R"({"type":"t","message":{"subject":"t.a","seq":1,"hdrs":"TkFUUy8xLjANCk5hdHMtTXNnLUlkOiBtMQ0KDQo=","data":"eA=="}})") ==
      "m1");
  CHECK(parse_message_id(R"({"message":{"subject":"t.\"hdrs\":\"TkFU","seq":1,"data":"eA=="}})") ==
        std::nullopt);
  CHECK(parse_message_id(R"({"error":{"code":404,"err_code":10037,"description":"no message found"}})") ==
        std::nullopt);
  CHECK_THROWS_AS(
      parse_message_id(R"({"error":{"code":404,"err_code":10059,"description":"stream not found"}})"),
      BrokerError);
  CHECK_THROWS_AS(parse_message_id("garbage"), BrokerError);
}
