#include "runtime/nats/api.h"
#include "runtime/nats/stream_message.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace cutover;
using namespace std::chrono_literals;
using nlohmann::json;

TEST_CASE("times of the API are cut to microseconds", "[nats]") {
  auto time = parse_api_time("2022-11-20T11:16:00.123456999Z");
  REQUIRE(time);
  CHECK(time->time_since_epoch() == std::chrono::microseconds(1'668'942'960'123'456));
  CHECK(format_api_time(*time) == "2022-11-20T11:16:00.123456Z");
  CHECK(parse_api_time("2022-11-20T11:16:00.5Z") == parse_api_time("2022-11-20T11:16:00.500000Z"));
  CHECK(parse_api_time("2024-02-29T23:59:59Z"));
  CHECK(format_api_time(*parse_api_time("2024-02-29T23:59:59Z")) == "2024-02-29T23:59:59.000000Z");
}

TEST_CASE("what is no time of the API is refused", "[nats]") {
  CHECK_FALSE(
      parse_api_time(GENERATE("", "2022", "2022-11-20", "2022-11-20T11:16:00", "2022-11-20 11:16:00Z",
                              "2022-13-20T11:16:00Z", "2023-02-29T11:16:00Z", "2022-11-20T11:16:00.12+01:00",
                              "2022-11-20T11:16:00.12Zx", "20x2-11-20T11:16:00Z")));
}

TEST_CASE("answers are objects, errors or neither", "[nats]") {
  CHECK_FALSE(parse_answer(R"({"a":1})").error);
  CHECK(parse_answer(R"({"a":1})").body["a"] == 1);
  auto refused = parse_answer(R"({"error":{"code":404,"err_code":10059,"description":"stream not found"}})");
  REQUIRE(refused.error);
  CHECK(refused.error->err_code == kStreamNotFound);
  CHECK(refused.error->description == "stream not found");
  for (const char* text : {"", "[1]", "{", "null"}) {
    auto bad = parse_answer(text);
    CHECK(bad.error);
    CHECK(bad.body.value("a", 5) == 5);
  }
}

TEST_CASE("only what a lane wants is changed in its consumer", "[nats]") {
  LaneSpec lane;
  lane.stream = "CORE";
  lane.filter_subject = "core.>";
  json wanted = consumer_config(lane, "w-main");
  CHECK(wanted["max_deliver"] == -1);
  CHECK(wanted["ack_wait"] == 30'000'000'000);

  json live = wanted;
  live["num_replicas"] = 0;
  live["max_waiting"] = 512;
  live["deliver_policy"] = "by_start_sequence";
  live["opt_start_seq"] = 17;
  CHECK_FALSE(changed_config(live, wanted));

  live["max_ack_pending"] = 5;
  live["inactive_threshold"] = 1;
  auto changed = changed_config(live, wanted);
  REQUIRE(changed);
  CHECK((*changed)["max_ack_pending"] == 10'000);
  CHECK((*changed)["max_waiting"] == 512);
  CHECK((*changed)["opt_start_seq"] == 17);
  CHECK((*changed)["deliver_policy"] == "by_start_sequence");
  CHECK_FALSE(changed->contains("inactive_threshold"));
}

TEST_CASE("a stored message is read with its headers and bytes", "[nats]") {
  const auto message = parse_stream_message(json::parse(
      R"({"message":{"subject":"a.b","seq":7,"hdrs":"TkFUUy8xLjANCk5hdHMtTXNnLUlkOiB4DQpBOiAxDQpBOiAyDQoNCg==",
          "data":"AP8=","time":"2022-11-20T11:16:00.5Z"}})"));
  CHECK(message.sequence == 7);
  CHECK(message.subject == "a.b");
  CHECK(message.header("Nats-Msg-Id") == "x");
  CHECK(message.headers.size() == 3);
  CHECK(message.header("B").empty());
  CHECK(message.data == std::string("\0\xff", 2));
  CHECK(message.published_at == parse_api_time("2022-11-20T11:16:00.5Z"));
  CHECK_THROWS_AS(parse_stream_message(json::parse(R"({"success":true})")), BrokerError);
  CHECK_THROWS_AS(parse_stream_message(json::parse(R"({"message":{"seq":"x"}})")), BrokerError);
}
