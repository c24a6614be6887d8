#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include <simdjson.h>

namespace cutover {

// One message as JSON, read on demand by simdjson and strictly: what on-demand parsing leaves out, it checks.
// Used once, in the order check_bytes, open, reading, close. A function that returns false met something
// after which nothing of the message counts; `problem` says where and what.
class JsonBody {
 public:
  using Object = simdjson::ondemand::object;
  using Field = simdjson::ondemand::field;
  using Value = simdjson::ondemand::value;

  // data  followed by simdjson's padding; must outlive this
  JsonBody(std::string_view data, std::size_t bytes_max, int depth_max);

  // Size, and what simdjson does not look at, or not in every version.
  bool check_bytes();
  // Finds the structure of the message and enters its object. Throws std::bad_alloc.
  bool open(simdjson::ondemand::parser& parser, Object& object);
  // Nothing may follow.
  bool close();

  // Passes over a value and checks that all of it is JSON.
  //   depth  of the value if it is a container; the message's object has 1
  bool walk(Value& value, int depth);
  // Enters an object that a value begins; its fields are then read by iteration.
  bool enter(Value& value, Object& object);
  // Passes over a string and gives its inside, as it was sent.
  bool take_string(Value& value, std::string_view& inside);
  // The field that an iteration gives.
  bool take_field(simdjson::simdjson_result<Field>&& next, Field& field) {
    const auto error = std::move(next).get(field);
    return error ? stop_here(error) : true;
  }
  // The name of a field, unescaped into `buffer`; empty when it has escapes and is longer than the buffer.
  std::string_view name_of(const Field& field, char* buffer, std::size_t buffer_bytes) const;

  // The text of a value not yet passed: a scalar as it was sent, one character for a container.
  static std::string_view token_of(Value& value);
  // From the start of a value to where reading stands, right behind it.
  std::string_view text_since(const char* first);

  bool has_escapes() const { return has_escapes_; }
  // Whether a string, unescaped, may hold a control character: unescaped ones are refused, all but DEL.
  bool may_hold_control_characters() const { return has_escapes_ || has_delete_; }
  const std::string& problem() const { return problem_; }

 private:
  bool stop(std::string problem);
  bool stop_here(simdjson::error_code error);
  std::size_t offset();

  std::string_view data_;
  std::size_t bytes_max_;
  int depth_max_;
  bool has_escapes_ = false;
  bool has_delete_ = false;
  std::string problem_;
  simdjson::ondemand::document document_;
};

}  // namespace cutover
