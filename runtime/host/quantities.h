#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cutover {

// Durations and sizes as people write them in settings: one whole or decimal number and a unit, nothing
// between.

// 250ms, 30s, 1.5s, 10m, 12h, 7d; "0" needs no unit.
//   returns  nullopt when it is not such a text, negative, finer than a millisecond or above 10 years
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

// The shortest form that parse_duration reads back: 90s, 1500ms, 7d.
std::string format_duration(std::chrono::milliseconds span);

// Bytes: 512B, 64KiB, 1.5MiB, 2GiB.
//   returns  nullopt when it is not such a text, negative, not a whole number of bytes or above 1024 GiB
std::optional<std::uint64_t> parse_size(std::string_view text);

// The shortest form that parse_size reads back: 256KiB, 1000B.
std::string format_size(std::uint64_t bytes);

}  // namespace cutover
