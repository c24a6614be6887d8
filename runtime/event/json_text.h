#pragma once

// The parts of JSON that an on-demand parser leaves to its caller: escapes, number syntax, UTF-8 positions.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace cutover {

// The first escape of a JSON text that no text column can hold.
struct BadEscape {
  std::size_t offset;
  std::string_view problem;
};

// Checks every backslash of a text: a known escape, no \u0000, surrogates in pairs.
//   has_escapes  set to whether there is any backslash
std::optional<BadEscape> find_bad_escape(std::string_view text, bool& has_escapes) noexcept;

// Unescapes the inside of a JSON string whose escapes are good.
//   out      at least escaped.size() bytes
//   returns  bytes written
std::size_t unescape(std::string_view escaped, char* out) noexcept;

// Appends `text` as the inside of a JSON string: quotes, backslashes and control characters escaped.
void append_escaped(std::string& out, std::string_view text);

// A number by the JSON grammar, within any range that PostgreSQL's numeric holds: an exponent of up to three
// digits, at most 400 bytes.
bool is_json_number(std::string_view token) noexcept;

// Offset of the first byte that is not UTF-8 (overlong forms and surrogates are not).
std::optional<std::size_t> find_bad_utf8(std::string_view text) noexcept;

}  // namespace cutover
