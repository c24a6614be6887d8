#pragma once

#include <string_view>
#include <variant>

#include "runtime/engine/ports.h"
#include "runtime/event/envelope.h"

namespace cutover {

// What the claim is asked about one message.
struct ClaimQuestion {
  ClaimItem item;          // its views point into the message and the parsed event
  bool addressed = false;  // the worker lists this event in some version, or it is malformed; and it is no other worker's copy
};

// Key, event id, mark and version of a message: the same on every side, or two of them would own one event, or none.
//   sequence  of the origin, for a replay
//   listed    whether the worker lists an event of this name
ClaimQuestion claim_question(const Message& message, const std::variant<Event, Malformed>& parsed, std::uint64_t sequence,
                             std::string_view worker, bool listed);

}  // namespace cutover
