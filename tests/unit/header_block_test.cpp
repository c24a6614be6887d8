#include "runtime/nats/header_block.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

using namespace cutover;

TEST_CASE("headers keep their order, their doubles and empty values", "[nats]") {
  std::string block =
      "NATS/1.0\r\nNats-Msg-Id: m1\r\ntraceparent: \r\nCutover-Key: k:1 \r\nX:a\r\nX: b\r\nEmpty:\r\n\r\n";
  auto headers = parse_headers(block);
  REQUIRE(headers.size() == 6);
  CHECK(headers[0].name == "Nats-Msg-Id");
  CHECK(headers[0].value == "m1");
  // The client library made "Cutover-Key: k:1" the value of traceparent.
  CHECK(headers[1].name == "traceparent");
  CHECK(headers[1].value.empty());
  CHECK(headers[2].name == "Cutover-Key");
  CHECK(headers[2].value == "k:1");
  CHECK(headers[3].value == "a");
  CHECK(headers[4].value == "b");
  CHECK(headers[5].name == "Empty");
  CHECK(headers[5].value.empty());
}

TEST_CASE("strange header blocks do no harm", "[nats]") {
  CHECK(parse_headers("").empty());
  CHECK(parse_headers("NATS/1.0\r\n\r\n").empty());
  CHECK(parse_headers("HTTP/1.1\r\nA: b\r\n\r\n").empty());
  CHECK(parse_headers("NATS/1.0").empty());
  auto headers = parse_headers("NATS/1.0\r\nno colon\r\n: no name\r\nA: 1\r\n  folded\r\nB: 2");
  REQUIRE(headers.size() == 2);
  CHECK(headers[0].name == "A");
  CHECK(headers[0].value == "1\r\n  folded");
  CHECK(headers[1].value == "2");
}

TEST_CASE("a status line has code, text and what was left of the pull", "[nats]") {
  StatusLine status = parse_status(
      "NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 7\r\nNats-Pending-Bytes: 99680\r\n\r\n");
  CHECK(status.code == 408);
  CHECK(status.description == "Request Timeout");
  CHECK(status.pending_messages == 7);
  CHECK(status.pending_bytes == 99680);

  status = parse_status("NATS/1.0 503\r\n\r\n");
  CHECK(status.code == 503);
  CHECK(status.description.empty());
  CHECK_FALSE(status.pending_messages);
  CHECK(parse_status("NATS/1.0\r\nA: b\r\n\r\n").code == 0);
  CHECK(parse_status("").code == 0);
  CHECK_FALSE(parse_status("NATS/1.0 408 x\r\nNats-Pending-Messages: many\r\n\r\n").pending_messages);
}

TEST_CASE("refusals with one code are told apart by their text", "[nats]") {
  auto kind = [](const std::string& line) { return classify(parse_status("NATS/1.0 " + line + "\r\n\r\n")); };
  CHECK(kind("100 Idle Heartbeat") == PullStatus::heartbeat);
  CHECK(kind("404 No Messages") == PullStatus::expired);
  CHECK(kind("408 Request Timeout") == PullStatus::expired);
  CHECK(kind("409 Consumer Deleted") == PullStatus::consumer_deleted);
  CHECK(kind("409 consumer deleted") == PullStatus::consumer_deleted);
  CHECK(kind("409 Exceeded MaxWaiting") == PullStatus::too_many_pulls);
  CHECK(kind("409 Leadership Change") == PullStatus::leader_changed);
  CHECK(kind("409 Server Shutdown") == PullStatus::leader_changed);
  CHECK(kind("409 Message Size Exceeds MaxBytes") == PullStatus::too_large);
  CHECK(kind("409 Consumer is push based") == PullStatus::push_consumer);
  CHECK(kind("409 Exceeded MaxRequestBatch of 1") == PullStatus::refused);
  CHECK(kind("409 Exceeded MaxRequestExpires of 1s") == PullStatus::refused);
  CHECK(kind("409 Exceeded MaxRequestMaxBytes of 10") == PullStatus::refused);
  CHECK(kind("400 Bad Request - heartbeat value too large") == PullStatus::refused);
  CHECK(kind("409 Batch Completed") == PullStatus::expired);
  CHECK(kind("503") == PullStatus::no_responders);
  CHECK(kind("409 Something New") == PullStatus::unknown);
  CHECK(kind("423 Nats-Wrong-Pin-Id") == PullStatus::unknown);
  CHECK(classify(parse_status("")) == PullStatus::none);
}
