#pragma once

#include <string_view>

namespace cutover::test {

// Parses one fuzz input and checks what must hold for any bytes. Throws std::logic_error with what does not.
//   input  a message body, then optionally NATS subject, Cutover-Key, traceparent and tracestate, separated
//   by bytes
//          0xFF (which no UTF-8 text holds)
//
// Held against nlohmann::json: a body counts exactly when PostgreSQL could hold it as a JSON object, and an
// event's fields say what that parser reads. An event written and parsed again is the same event.
void check_envelope(std::string_view input);

}  // namespace cutover::test
