#include "runtime/policy/error_group.h"

#include <algorithm>
#include <array>

namespace cutover {
namespace {

constexpr std::size_t kReadBytesMax = 4 * kErrorBytesMax;  // what can still matter after masking
constexpr std::size_t kHexDigitsMin = 8;
constexpr std::size_t kIdBytesMin = 6;
constexpr std::size_t kQuotedBytesMax = 1024;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_word(char c) {
  return is_digit(c) || is_letter(c);
}
bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

// Length of the UTF-8 character at the front, 0 when there is none.
std::size_t character_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  const bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
  const bool outside = (lead == 0xED && byte(1) >= 0xA0) || (lead == 0xF4 && byte(1) >= 0x90);
  return overlong || outside ? 0 : length;
}

// Matches a pattern at the front: d digit, x hex digit, anything else itself. Returns its length or 0.
std::size_t match(std::string_view text, std::string_view pattern) {
  if (text.size() < pattern.size()) return 0;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char want = pattern[i], have = text[i];
    if (want == 'd' ? !is_digit(have) : want == 'x' ? !is_hex(have) : want != have) return 0;
  }
  return pattern.size();
}

template <class Is>
std::size_t run(std::string_view text, Is is) {
  return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is) - text.begin());
}

bool ends_at(std::string_view text, std::size_t length) {
  return length == text.size() || !(is_word(text[length]) || text[length] == '_');
}

std::size_t clock_length(std::string_view text) {
  std::size_t length = match(text, "dd:dd:dd");
  if (length == 0) return 0;
  if (length + 1 < text.size() && (text[length] == '.' || text[length] == ',') && is_digit(text[length + 1]))
    length += 1 + run(text.substr(length + 1), is_digit);
  return length;
}

std::size_t zone_length(std::string_view text) {
  if (text.starts_with('Z') || text.starts_with('z')) return 1;
  if (!text.starts_with('+') && !text.starts_with('-')) return 0;
  for (const std::string_view form : {"dd:dd", "dddd", "dd"})
    if (match(text.substr(1), form)) return 1 + form.size();
  return 0;
}

// A date, a time of day, or both with a zone.
std::size_t time_length(std::string_view text) {
  std::size_t length = match(text, "dddd-dd-dd");
  if (length == 0) {
    length = clock_length(text);
    return length && ends_at(text, length) ? length : 0;
  }
  if (length < text.size() && (text[length] == 'T' || text[length] == 't' || text[length] == ' ')) {
    if (const std::size_t clock = clock_length(text.substr(length + 1))) {
      length += 1 + clock;
      length += zone_length(text.substr(length));
    }
  }
  return ends_at(text, length) ? length : 0;
}

std::size_t uuid_length(std::string_view text) {
  const std::size_t length = match(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
  return length && ends_at(text, length) ? length : 0;
}

// Digits in groups: 42, 3.14, 10.0.0.1, 1e-5.
std::size_t number_length(std::string_view text) {
  std::size_t length = run(text, is_digit);
  while (length + 1 < text.size() && text[length] == '.' && is_digit(text[length + 1]))
    length += 1 + run(text.substr(length + 1), is_digit);
  if (length + 1 < text.size() && (text[length] | 0x20) == 'e') {
    const bool sign = text[length + 1] == '-' || text[length + 1] == '+';
    const std::size_t digits = run(text.substr(length + 1 + sign), is_digit);
    if (digits > 0 && ends_at(text, length + 1 + sign + digits)) length += 1 + sign + digits;
  }
  return length;
}

// The closing quote of the quoted text at the front, 0 when it is an apostrophe.
std::size_t quoted_length(std::string_view text, char before) {
  if (is_word(before)) return 0;
  const std::string_view near = text.substr(0, kQuotedBytesMax);
  for (std::size_t i = near.find(text.front(), 1); i != std::string_view::npos;
       i = near.find(text.front(), i + 1))
    if (ends_at(text, i + 1)) return i + 1;
  return 0;
}

// What PostgreSQL quotes a name behind; behind anything else it quotes a value.
bool announces_name(std::string_view text) {
  constexpr std::string_view kNouns[] = {"constraint", "relation", "table", "column", "index",   "function",
                                         "type",       "schema",   "role",  "view",   "sequence"};
  if (!text.ends_with(' ')) return false;
  text.remove_suffix(1);
  const auto before = std::find_if_not(text.rbegin(), text.rend(), is_word);
  const std::string_view word = text.substr(static_cast<std::size_t>(text.rend() - before));
  return std::find(std::begin(kNouns), std::end(kNouns), word) != std::end(kNouns);
}

// Masks the word of letters and digits at the front.
std::size_t mask_word(std::string_view text, std::string& out) {
  const auto mask = [&](std::size_t length, std::string_view as) {
    out += as;
    return length;
  };
  if (const std::size_t length = uuid_length(text)) return mask(length, "<uuid>");
  if (const std::size_t length = time_length(text)) return mask(length, "<time>");

  const std::string_view word = text.substr(0, run(text, is_word));
  const auto digits = static_cast<std::size_t>(std::count_if(word.begin(), word.end(), is_digit));
  if (digits == 0) return mask(word.size(), word);
  if (word.size() > 2 && (word.starts_with("0x") || word.starts_with("0X")) &&
      run(word.substr(2), is_hex) + 2 == word.size())
    return mask(word.size(), "<hex>");
  if (const std::size_t length = number_length(text); length >= word.size()) return mask(length, "<n>");
  if (word.size() >= kHexDigitsMin && run(word, is_hex) == word.size()) return mask(word.size(), "<hex>");
  if (word.size() >= kIdBytesMin) return mask(word.size(), "<id>");
  for (std::size_t i = 0; i < word.size();) {
    const std::size_t length = run(word.substr(i), is_digit);
    if (length == 0) {
      out += word[i++];
    } else {
      out += "<n>";
      i += length;
    }
  }
  return word.size();
}

std::string clip(std::string text) {
  if (text.size() <= kErrorBytesMax) return text;
  std::size_t end = kErrorBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text.resize(end);
  return text;
}

// Valid UTF-8 without NUL, of the first bytes.
std::string readable(std::string_view text, std::size_t bytes_max) {
  std::string out;
  out.reserve(std::min(text.size(), bytes_max));
  for (std::size_t i = 0; i < text.size() && out.size() < bytes_max;) {
    const std::size_t length = text[i] == '\0' ? 0 : character_length(text.substr(i));
    if (length == 0) {
      out += '?';
      ++i;
    } else {
      out += text.substr(i, length);
      i += length;
    }
  }
  return out;
}

}  // namespace

std::string error_text(std::string_view error) {
  return clip(readable(error, kErrorBytesMax));
}

std::string error_group(std::string_view error) {
  const std::string source = readable(error, kReadBytesMax);
  std::string out;
  for (std::size_t i = 0; i < source.size();) {
    const std::string_view rest = std::string_view(source).substr(i);
    const char c = rest.front();
    if (is_space(c)) {
      if (!out.empty() && out.back() != ' ') out += ' ';
      ++i;
    } else if (is_word(c)) {
      i += mask_word(rest, out);
    } else if (c == '\'' || c == '"' || c == '`') {
      const std::size_t length =
          c == '"' && announces_name(out) ? 0 : quoted_length(rest, i ? source[i - 1] : ' ');
      out += c;
      if (length) (out += '?') += c;
      i += length ? length : 1;
    } else {
      out += c;
      ++i;
    }
  }
  while (out.ends_with(' ')) out.pop_back();
  out = clip(std::move(out));
  while (out.ends_with(' ')) out.pop_back();
  return out;
}

}  // namespace cutover
