#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "runtime/engine/ports.h"

namespace cutover {

// The header block of a message: "NATS/1.0[ <status>[ <description>]]\r\n" and lines "Name: value\r\n",
// closed by an empty line. Read here rather than by the client library: its 3.4.1 swallows the line after an
// empty value, forgets the order, and costs 0.6 us a message. Views point into the block.
std::vector<Header> parse_headers(std::string_view block);

// The status line of an answer that carries no data, such as "409 Consumer Deleted".
struct StatusLine {
  int code = 0;  // 0: none
  std::string_view description;
  std::optional<std::uint64_t> pending_messages;  // what a closed pull had not delivered
  std::optional<std::uint64_t> pending_bytes;
};
StatusLine parse_status(std::string_view block);

// What the broker says about a pull.
enum class PullStatus {
  none,              // a message without status
  heartbeat,         // the pull is open
  expired,           // its time is over, it is complete, or there was nothing to be had
  consumer_deleted,  // the consumer, perhaps with its stream
  too_many_pulls,    // max_waiting of the consumer
  leader_changed,    // or the server shuts down: ask again, perhaps elsewhere
  too_large,         // the next message does not fit into the pull's max_bytes
  push_consumer,     // the durable of that name is not for pulling
  refused,           // the request itself: a limit of the consumer, a bad field
  no_responders,     // nobody listens to the pull subject
  unknown,
};
// All refusals of a consumer share code 409: told apart by their text.
PullStatus classify(const StatusLine& status);

}  // namespace cutover
