#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/event/envelope.h"

namespace cutover::test {

// Bytes with exactly the padding that the parser may read, in a block of their own: one byte more is seen by
// ASan.
class PaddedText {
 public:
  explicit PaddedText(std::string_view text)
      : size_(text.size()), memory_(std::make_unique<char[]>(text.size() + kEnvelopePadding)) {
    std::copy(text.begin(), text.end(), memory_.get());
  }
  std::string_view view() const { return {memory_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<char[]> memory_;
};

// An envelope in JSON whose fields a test replaces one by one.
class EnvelopeText {
 public:
  // value  as JSON: "\"text\"", "2", "{...}"
  EnvelopeText& set(std::string_view name, std::string value) {
    for (auto& [field, old] : fields_)
      if (field == name) return old = std::move(value), *this;
    return add(name, std::move(value));
  }
  EnvelopeText& add(std::string_view name, std::string value) {
    fields_.emplace_back(name, std::move(value));
    return *this;
  }
  EnvelopeText& remove(std::string_view name) {
    std::erase_if(fields_, [&](const auto& field) { return field.first == name; });
    return *this;
  }
  EnvelopeText& reverse() {
    std::reverse(fields_.begin(), fields_.end());
    return *this;
  }
  std::string text() const {
    std::string out = "{";
    for (const auto& [name, value] : fields_) out += (out.size() > 1 ? ",\"" : "\"") + name + "\":" + value;
    return out + "}";
  }

 private:
  std::vector<std::pair<std::string, std::string>> fields_{
      {"event_id", R"("018f2b6e-7c1a-7abc-8def-0123456789ab")"},
      {"event_name", R"("profile.updated")"},
      {"event_version", "1"},
      {"occurred_at", R"("2026-03-01T12:34:56.789012Z")"},
      {"producer", R"("monolith")"},
      {"actor", R"({"actor_id":"u-17","actor_type":"user"})"},
      {"subject", R"({"subject_type":"profile","subject_id":"4711","version":12})"},
      {"correlation_id", R"("corr-1")"},
      {"causation_id", R"("018f2b6e-0000-7abc-8def-0123456789ab")"},
      {"idempotency_key", R"("profile:4711:12")"},
      {"tenant_scope", R"("global")"},
      {"payload", R"({"profile_id":4711,"owner_principal_id":17,"profile_class":"single"})"}};
};

// Parses one body and keeps what the views of the result point into.
class Parsed {
 public:
  explicit Parsed(std::string_view body, EnvelopeInput input = {}, EnvelopeLimits limits = {})
      : body_(body), parser_(limits), result_(parse(input)) {}
  Parsed(const EnvelopeText& body, EnvelopeInput input = {}, EnvelopeLimits limits = {})
      : Parsed(body.text(), input, limits) {}

  bool is_event() const { return std::holds_alternative<Event>(result_); }
  const Event& event() const { return std::get<Event>(result_); }
  const Malformed& malformed() const { return std::get<Malformed>(result_); }
  // Empty for an event.
  std::string reason() const { return is_event() ? std::string{} : malformed().reason; }

 private:
  std::variant<Event, Malformed> parse(EnvelopeInput& input) {
    input.data = body_.view();
    return parser_.parse(input, arena_);
  }

  PaddedText body_;
  EventArena arena_;
  EnvelopeParser parser_;
  std::variant<Event, Malformed> result_;
};

}  // namespace cutover::test
