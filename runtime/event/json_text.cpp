#include "runtime/event/json_text.h"

#include <cstdint>
#include <cstring>

namespace cutover {
namespace {

constexpr std::size_t kNumberBytesMax = 400;
constexpr int kExponentDigitsMax = 3;

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Four hex digits at `at`, -1 when they are not there.
std::int32_t hex4(std::string_view text, std::size_t at) noexcept {
  if (text.size() < 4 || at > text.size() - 4) return -1;
  std::int32_t value = 0;
  for (std::size_t i = at; i < at + 4; ++i) {
    const int digit = hex_digit(text[i]);
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

bool is_high_surrogate(std::int32_t code) noexcept {
  return code >= 0xD800 && code < 0xDC00;
}
bool is_low_surrogate(std::int32_t code) noexcept {
  return code >= 0xDC00 && code < 0xE000;
}
bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

char* put_utf8(char* out, std::uint32_t code) noexcept {
  const auto tail = [](std::uint32_t bits) { return static_cast<char>(0x80 | (bits & 0x3F)); };
  if (code < 0x80) {
    *out++ = static_cast<char>(code);
  } else if (code < 0x800) {
    *out++ = static_cast<char>(0xC0 | (code >> 6));
    *out++ = tail(code);
  } else if (code < 0x10000) {
    *out++ = static_cast<char>(0xE0 | (code >> 12));
    *out++ = tail(code >> 6);
    *out++ = tail(code);
  } else {
    *out++ = static_cast<char>(0xF0 | (code >> 18));
    *out++ = tail(code >> 12);
    *out++ = tail(code >> 6);
    *out++ = tail(code);
  }
  return out;
}

char unescaped(char c) noexcept {
  switch (c) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return c;  // quote, backslash, slash
  }
}

}  // namespace

std::optional<BadEscape> find_bad_escape(std::string_view text, bool& has_escapes) noexcept {
  std::size_t at = text.find('\\');
  has_escapes = at != std::string_view::npos;
  while (at != std::string_view::npos) {
    const char kind = at + 1 < text.size() ? text[at + 1] : '\0';
    std::size_t length = 2;
    if (kind == 'u') {
      const std::int32_t code = hex4(text, at + 2);
      if (code < 0) return BadEscape{at, "\\u needs four hex digits"};
      if (code == 0) return BadEscape{at, "\\u0000 cannot be stored"};
      if (is_low_surrogate(code)) return BadEscape{at, "a low surrogate without its high one"};
      length = 6;
      if (is_high_surrogate(code)) {
        if (text.substr(at + 6, 2) != "\\u" || !is_low_surrogate(hex4(text, at + 8)))
          return BadEscape{at, "a high surrogate without its low one"};
        length = 12;
      }
    } else if (kind == '\0' || std::strchr("\"\\/bfnrt", kind) == nullptr) {
      return BadEscape{at, "an unknown escape"};
    }
    at = text.find('\\', at + length);
  }
  return std::nullopt;
}

std::size_t unescape(std::string_view escaped, char* out) noexcept {
  char* const start = out;
  for (std::size_t i = 0; i < escaped.size();) {
    if (escaped[i] != '\\') {
      *out++ = escaped[i++];
    } else if (escaped[i + 1] != 'u') {
      *out++ = unescaped(escaped[i + 1]);
      i += 2;
    } else {
      auto code = static_cast<std::uint32_t>(hex4(escaped, i + 2));
      i += 6;
      if (is_high_surrogate(static_cast<std::int32_t>(code))) {
        const auto low = static_cast<std::uint32_t>(hex4(escaped, i + 2));
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        i += 6;
      }
      out = put_utf8(out, code);
    }
  }
  return static_cast<std::size_t>(out - start);
}

void append_escaped(std::string& out, std::string_view text) {
  std::size_t clean = 0;  // start of what needs no escape
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, clean, i - clean);
    clean = i + 1;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += "\\u00";
        out += static_cast<char>('0' + (c >> 4));
        out += "0123456789abcdef"[c & 15];
    }
  }
  out.append(text, clean);
}

bool is_json_number(std::string_view token) noexcept {
  if (token.size() > kNumberBytesMax) return false;
  std::size_t i = 0;
  const auto digits = [&] {
    const std::size_t from = i;
    while (i < token.size() && is_digit(token[i])) ++i;
    return i - from;
  };
  const auto next_is = [&](std::string_view any) {
    return i < token.size() && any.find(token[i]) != std::string_view::npos;
  };
  if (next_is("-")) ++i;
  const bool zero = next_is("0");
  const std::size_t whole = digits();
  if (whole == 0 || (zero && whole > 1)) return false;
  if (next_is(".")) {
    ++i;
    if (digits() == 0) return false;
  }
  if (next_is("eE")) {
    ++i;
    if (next_is("+-")) ++i;
    const std::size_t exponent = digits();
    if (exponent == 0 || exponent > kExponentDigitsMax) return false;
  }
  return i == token.size();
}

std::optional<std::size_t> find_bad_utf8(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) -> std::uint32_t {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  for (std::size_t i = 0; i < text.size();) {
    const std::uint32_t lead = byte(i);
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xC2 ? 0
                               : lead < 0xE0 ? 2
                               : lead < 0xF0 ? 3
                               : lead < 0xF5 ? 4
                                             : 0;
    if (length == 0) return i;
    for (std::size_t k = 1; k < length; ++k)
      if ((byte(i + k) & 0xC0) != 0x80) return i;
    const std::uint32_t second = byte(i + 1);
    if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second >= 0xA0) ||
        (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second >= 0x90))
      return i;
    i += length;
  }
  return std::nullopt;
}

}  // namespace cutover
