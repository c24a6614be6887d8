#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/engine/ports.h"

namespace cutover::postgres {

// {"traceparent": "..."} for cutover.outbox.headers, and back; back also from the form of raw_headers_to_json, in which names
// may repeat.
std::string headers_to_json(std::span<const std::pair<std::string, std::string>> headers);
std::vector<std::pair<std::string, std::string>> headers_from_json(std::string_view json);

// [[name, value], ...] for cutover.dead_letters.headers: order and repetitions kept. A value that is not UTF-8 text (or
// holds a NUL) becomes [name, null, base64 of its bytes].
std::string raw_headers_to_json(std::span<const Header> headers);

// 2026-11-20T09:00:00.123456Z
std::string timestamp_text(Instant instant);

}  // namespace cutover::postgres
