#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/contract/timestamp.h"

namespace cutover::dispute {

// Writes JSON objects, field by field, into one text. Names are literals of this program and are not escaped.
class JsonWriter {
 public:
  JsonWriter& begin() {
    separate();
    out_ += '{';
    first_ = true;
    return *this;
  }
  JsonWriter& end() {
    out_ += '}';
    first_ = false;
    return *this;
  }
  JsonWriter& field(std::string_view name, std::int64_t value) {
    key(name);
    append(value);
    return *this;
  }
  JsonWriter& field(std::string_view name, int value) { return field(name, std::int64_t{value}); }
  JsonWriter& field(std::string_view name, bool value) { return raw(name, value ? "true" : "false"); }
  JsonWriter& field(std::string_view name, double value) {
    key(name);
    char text[32];
    out_.append(text, std::to_chars(text, text + sizeof text, value).ptr);
    return *this;
  }
  JsonWriter& field(std::string_view name, const char* value) { return field(name, std::string_view(value)); }
  JsonWriter& field(std::string_view name, const std::string& value) {
    return field(name, std::string_view(value));
  }
  JsonWriter& field(std::string_view name, std::string_view value) {
    key(name);
    append(value);
    return *this;
  }
  JsonWriter& field(std::string_view name, Instant value) {
    key(name);
    out_ += '"';
    append_timestamp(out_, value);
    out_ += '"';
    return *this;
  }
  // null without a value.
  template <class Value>
  JsonWriter& field(std::string_view name, const std::optional<Value>& value) {
    return value ? field(name, *value) : raw(name, "null");
  }
  template <class Range, class TextOf>
  JsonWriter& list(std::string_view name, const Range& values, TextOf text_of) {
    key(name);
    out_ += '[';
    bool first = true;
    for (const auto& value : values) {
      if (!first) out_ += ',';
      first = false;
      append(text_of(value));
    }
    out_ += ']';
    return *this;
  }
  // A value that is JSON already.
  JsonWriter& raw(std::string_view name, std::string_view json) {
    key(name);
    out_ += json;
    return *this;
  }
  bool empty() const { return out_.empty(); }
  // All objects, one after the other, with commas between.
  const std::string& text() const { return out_; }

 private:
  void separate() {
    if (!out_.empty() && !first_) out_ += ',';
  }
  void key(std::string_view name) {
    separate();
    first_ = false;
    out_ += '"';
    out_ += name;
    out_ += "\":";
  }
  void append(std::int64_t value) {
    char text[24];
    out_.append(text, std::to_chars(text, text + sizeof text, value).ptr);
  }
  void append(std::string_view value) {
    static constexpr char kDigits[] = "0123456789abcdef";
    out_ += '"';
    for (const char c : value) {
      if (c == '"' || c == '\\') {
        out_ += '\\';
        out_ += c;
      } else if (static_cast<unsigned char>(c) < 0x20) {
        out_ += "\\u00";
        out_ += kDigits[(c >> 4) & 15];
        out_ += kDigits[c & 15];
      } else {
        out_ += c;
      }
    }
    out_ += '"';
  }

  std::string out_;
  bool first_ = true;  // in the object that is open
};

}  // namespace cutover::dispute
