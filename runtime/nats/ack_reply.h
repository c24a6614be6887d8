#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "runtime/contract/clock.h"

namespace cutover {

// What the reply subject of a delivered message tells. Views point into the subject.
struct AckReply {
  std::string_view stream;
  std::string_view consumer;
  std::uint64_t deliveries = 0;
  std::uint64_t stream_sequence = 0;
  std::uint64_t consumer_sequence = 0;  // grows by one with every delivery of a consumer's life
  Instant published_at;
  std::uint64_t pending = 0;  // not yet delivered when this one left
};

// Reads "$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<nanoseconds>.<pending>" and
// its newer form with domain and account hash before the stream (11 tokens, or 12 with a random one at the
// end). Returns nullopt for anything else.
std::optional<AckReply> parse_ack_reply(std::string_view subject);

}  // namespace cutover
