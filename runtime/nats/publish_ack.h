#pragma once

#include <string_view>

#include "runtime/engine/ports.h"

namespace cutover {

// Reads the broker's answer to a publication: {"stream":"CORE", "seq":12, "duplicate": true} or
// {"error":{...}}. Anything else becomes an ack with an error.
PublishAck parse_publish_ack(std::string_view text);

// Reads one answer of STREAM.MSG.GET.
//   returns  the message id; nullopt when there is no such message, or it has none
//   throws   BrokerError when the server could not say
std::optional<std::string> parse_message_id(std::string_view text);

}  // namespace cutover
