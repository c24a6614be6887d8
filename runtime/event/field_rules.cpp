#include "runtime/event/field_rules.h"

#include <array>
#include <cstdint>

namespace cutover {
namespace {

// What a byte may be part of. Looked up without branches: these checks run over most bytes of every envelope.
enum Kind : unsigned { kLowerHex = 1, kUpperHex = 2, kName = 4, kHyphen = 8 };

constexpr std::array<std::uint8_t, 256> kKinds = [] {
  std::array<std::uint8_t, 256> kinds{};
  for (unsigned c = '0'; c <= '9'; ++c) kinds[c] = kLowerHex | kUpperHex | kName;
  for (unsigned c = 'a'; c <= 'z'; ++c) kinds[c] = kName;
  for (unsigned c = 'a'; c <= 'f'; ++c) kinds[c] |= kLowerHex;
  for (unsigned c = 'A'; c <= 'F'; ++c) kinds[c] = kUpperHex;
  kinds['_'] = kName;
  kinds['-'] = kHyphen;
  return kinds;
}();

unsigned kind(char c) noexcept {
  return kKinds[static_cast<unsigned char>(c)];
}

bool all_are(std::string_view text, unsigned wanted) noexcept {
  bool all = true;
  for (const char c : text) all &= (kind(c) & wanted) != 0;
  return all;
}

bool is_name_token(std::string_view text) noexcept {
  return !text.empty() && all_are(text, kName);
}
bool is_trace_id(std::string_view text) noexcept {
  return all_are(text, kLowerHex) && text.find_first_not_of('0') != std::string_view::npos;
}

}  // namespace

bool is_uuid(std::string_view text) noexcept {
  if (text.size() != 36) return false;
  bool all = text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-';
  int hyphens = 0;
  for (const char c : text) {
    all &= (kind(c) & (kLowerHex | kUpperHex | kHyphen)) != 0;
    hyphens += c == '-';
  }
  return all && hyphens == 4;
}

bool is_event_name(std::string_view text) noexcept {
  const std::size_t dot = text.find('.');
  return dot != std::string_view::npos && is_name_token(text.substr(0, dot)) &&
         is_name_token(text.substr(dot + 1));
}

bool is_subject_of(std::string_view nats_subject, std::string_view event_name) noexcept {
  if (!nats_subject.starts_with(event_name)) return false;
  const std::string_view rest = nats_subject.substr(event_name.size());
  if (rest.empty()) return true;
  return rest.size() > 1 && rest.front() == '.' && rest.find_first_of(". *>", 1) == std::string_view::npos;
}

bool is_actor_type(std::string_view text) noexcept {
  return text == "user" || text == "system" || text == "operator" || text == "business_admin";
}

bool has_control_character(std::string_view text) noexcept {
  bool found = false;
  for (const char c : text) found |= static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  return found;
}

bool is_traceparent(std::string_view text) noexcept {
  return text.size() == 55 && text.starts_with("00-") && text[35] == '-' && text[52] == '-' &&
         is_trace_id(text.substr(3, 32)) && is_trace_id(text.substr(36, 16)) &&
         all_are(text.substr(53), kLowerHex);
}

}  // namespace cutover
