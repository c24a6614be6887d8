#pragma once

#include <string_view>

#include "runtime/engine/ports.h"
#include "runtime/nats/link.h"

namespace cutover {

// The header block of a message as it came over the wire, empty without one. The view dies with the message,
// or with the thread's next call.
std::string_view header_block(natsMsg* message);

// Copies subject, reply, headers and payload into one allocation. Lane, sequences and times are left to the
// caller.
Message copy_message(natsMsg* message);

}  // namespace cutover
