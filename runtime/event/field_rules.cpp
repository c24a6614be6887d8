#include "runtime/event/field_rules.h"

#include <algorithm>

namespace cutover {
namespace {

bool is_lower_hex(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}
bool is_name_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}
bool is_name_token(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_name_character);
}
bool is_trace_id(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), is_lower_hex) &&
         text.find_first_not_of('0') != std::string_view::npos;
}

}  // namespace

bool is_uuid(std::string_view text) noexcept {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < 36; ++i) {
    const char c = text[i];
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      if (c != '-') return false;
    } else if (!is_lower_hex(c) && !(c >= 'A' && c <= 'F')) {
      return false;
    }
  }
  return true;
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
         is_trace_id(text.substr(3, 32)) && is_trace_id(text.substr(36, 16)) && is_lower_hex(text[53]) &&
         is_lower_hex(text[54]);
}

}  // namespace cutover
