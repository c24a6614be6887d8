#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime/contract/clock.h"

namespace cutover {

// Reads an RFC 3339 time that says UTC: `2026-01-31T23:59:59.123456Z`, or `+00:00`. Years 0001 to 9999. More
// than six fractional digits are cut. A leap second (23:59:60) is the first second of the next day, as in
// PostgreSQL.
//   returns  nothing for anything else, another offset included
std::optional<Instant> parse_timestamp(std::string_view text) noexcept;

// Appends the same form, always with six fractional digits and Z. Years 0000 to 9999.
void append_timestamp(std::string& out, Instant at);

}  // namespace cutover
