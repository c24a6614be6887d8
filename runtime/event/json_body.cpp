#include "runtime/event/json_body.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include <fmt/format.h>

#include "runtime/event/json_text.h"

namespace cutover {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr std::size_t kFirstCapacity = 4 * 1024;

std::string_view without_trailing_space(const char* first, const char* last) {
  while (last > first && (last[-1] == ' ' || last[-1] == '\n' || last[-1] == '\r' || last[-1] == '\t'))
    --last;
  return {first, static_cast<std::size_t>(last - first)};
}

std::string_view in_words(simdjson::error_code error) {
  switch (error) {
    case simdjson::EMPTY:
      return "is empty";
    case simdjson::UNCLOSED_STRING:
      return "is not JSON: a string does not end";
    case simdjson::UNESCAPED_CHARS:
      return "is not JSON: a control character inside a string";
    case simdjson::INCOMPLETE_ARRAY_OR_OBJECT:
      return "is not a JSON object, or ends too early";
    case simdjson::INCORRECT_TYPE:
      return "is not a JSON object";
    default:
      return "is not JSON: a value, comma, colon or bracket is missing or misplaced";
  }
}

}  // namespace

JsonBody::JsonBody(std::string_view data, std::size_t bytes_max, int depth_max)
    : data_(data), bytes_max_(bytes_max), depth_max_(depth_max) {}

bool JsonBody::check_bytes() {
  if (data_.empty()) return stop("message: is empty");
  if (data_.size() > bytes_max_)
    return stop(fmt::format("message: has {} bytes, the limit is {}", data_.size(), bytes_max_));
  if (const auto bad = find_bad_escape(data_, has_escapes_))
    return stop(fmt::format("byte {}: {}", bad->offset, bad->problem));
  has_delete_ = data_.find('\x7F') != std::string_view::npos;
  if (data_.starts_with("\xEF\xBB\xBF")) return stop("byte 0: is not JSON: a byte order mark");
  return true;
}

bool JsonBody::open(ondemand::parser& parser, Object& object) {
  // Grown by powers of two, or slowly growing messages would allocate each time.
  if (parser.capacity() < data_.size() &&
      parser.allocate(std::max(kFirstCapacity, std::bit_ceil(data_.size()))))
    throw std::bad_alloc();
  auto started = parser.iterate(data_.data(), data_.size(), data_.size() + simdjson::SIMDJSON_PADDING);
  if (const auto error = std::move(started).get(document_)) {
    if (const auto bad = find_bad_utf8(data_)) return stop(fmt::format("byte {}: is not UTF-8", *bad));
    return stop(fmt::format("message: {}", in_words(error)));
  }
  const auto error = document_.get_object().get(object);
  return error ? stop_here(error) : true;
}

bool JsonBody::close() {
  if (document_.current_location().error() == simdjson::OUT_OF_BOUNDS) return true;
  return stop(fmt::format("byte {}: more follows after the envelope", offset()));
}

// Recursive, bounded by depth_max.
bool JsonBody::walk(Value& value, int depth) {
  const std::string_view token = token_of(value);
  const char first = *token.data();
  if (first == '"') {
    std::string_view inside;
    return take_string(value, inside);
  }
  if (first != '{' && first != '[') {  // the iteration that we stand in steps over it
    if (token == "true" || token == "false" || token == "null" || is_json_number(token)) return true;
    return stop(fmt::format("byte {}: is not a JSON value", offset()));
  }
  if (depth > depth_max_)
    return stop(fmt::format("byte {}: is nested deeper than {} levels", offset(), depth_max_));
  if (first == '{') {
    Object object;
    if (!enter(value, object)) return false;
    for (auto next : object) {
      Field field;
      if (!take_field(std::move(next), field) || !walk(field.value(), depth + 1)) return false;
    }
    return true;
  }
  ondemand::array array;
  if (const auto error = value.get_array().get(array)) return stop_here(error);
  for (auto next : array) {
    Value element;
    if (const auto error = std::move(next).get(element)) return stop_here(error);
    if (!walk(element, depth + 1)) return false;
  }
  return true;
}

bool JsonBody::enter(Value& value, Object& object) {
  const auto error = value.get_object().get(object);
  return error ? stop_here(error) : true;
}

bool JsonBody::take_string(Value& value, std::string_view& inside) {
  const std::string_view token = token_of(value);
  if (token.size() < 2 || token.back() != '"') return stop_here(simdjson::TAPE_ERROR);
  inside = token.substr(1, token.size() - 2);
  const auto error = value.get_raw_json_string().error();
  return error ? stop_here(error) : true;
}

std::string_view JsonBody::name_of(const Field& field, char* buffer, std::size_t buffer_bytes) const {
  const char* const first = field.key().raw();
  const char* const end = data_.data() + data_.size();
  const auto* last = static_cast<const char*>(std::memchr(first, '"', static_cast<std::size_t>(end - first)));
  if (last == nullptr) return {};
  if (has_escapes_ && std::find(first, last, '\\') != last) {
    for (last = first; last < end && *last != '"';) last += *last == '\\' ? 2 : 1;
    const std::string_view escaped(first, static_cast<std::size_t>(last - first));
    if (escaped.size() > buffer_bytes) return {};
    return {buffer, unescape(escaped, buffer)};
  }
  return {first, static_cast<std::size_t>(last - first)};
}

std::string_view JsonBody::token_of(Value& value) {
  const std::string_view token = value.raw_json_token();
  return without_trailing_space(token.data(), token.data() + token.size());
}

std::string_view JsonBody::text_since(const char* first) {
  return without_trailing_space(first, data_.data() + offset());
}

bool JsonBody::stop(std::string problem) {
  problem_ = std::move(problem);
  return false;
}

bool JsonBody::stop_here(simdjson::error_code error) {
  return stop(fmt::format("byte {}: {}", offset(), in_words(error)));
}

std::size_t JsonBody::offset() {
  const char* at = nullptr;
  if (document_.current_location().get(at)) return data_.size();
  return static_cast<std::size_t>(at - data_.data());
}

}  // namespace cutover
