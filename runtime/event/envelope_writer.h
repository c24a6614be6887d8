#pragma once

#include <string>

#include "runtime/contract/event.h"

namespace cutover {

// Appends the JSON of an envelope to `out`: what EnvelopeParser reads back as the same event.
//   event  payload must be a JSON object and is copied as it is; key, NATS subject, place and trace context
//   are not
//          part of the envelope. Strings must be UTF-8. An empty tenant_scope is left out.
// It escapes, and checks nothing: an event that breaks a rule is read back as malformed.
void write_envelope(const Event& event, std::string& out);

}  // namespace cutover
