#include "tests/fuzz/envelope_checks.h"

#include <algorithm>
#include <array>
#include <set>
#include <stdexcept>
#include <string>

#include <nlohmann/json.hpp>

#include "runtime/event/envelope_writer.h"
#include "runtime/event/field_rules.h"
#include "runtime/event/json_text.h"
#include "tests/unit/envelope_text.h"

namespace cutover::test {
namespace {

using nlohmann::json;

void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

const std::set<std::string> kNames{"event_id",     "event_name",      "event_version", "occurred_at",
                                   "producer",     "actor",           "subject",       "correlation_id",
                                   "causation_id", "idempotency_key", "tenant_scope",  "payload"};

// Whether a body is a JSON object within the limits, by another parser.
class Reference {
 public:
  using number_integer_t = json::number_integer_t;
  using number_unsigned_t = json::number_unsigned_t;
  using number_float_t = json::number_float_t;
  using string_t = json::string_t;
  using binary_t = json::binary_t;

  explicit Reference(std::string_view body) {
    // nlohmann takes a NUL byte for the end of the text, and skips a byte order mark.
    readable_ = body.find('\0') == std::string_view::npos && !body.starts_with("\xEF\xBB\xBF") &&
                body.size() <= EnvelopeLimits{}.message_bytes_max && json::sax_parse(body, this) && object_;
  }
  bool readable() const { return readable_; }
  // It refuses numbers that no double holds, which this parser lets pass up to three digits of exponent.
  bool undecided() const { return number_too_large_; }
  // Whether a field of the envelope appears twice.
  bool repeats() const { return repeats_; }

  bool null() { return scalar(); }
  bool boolean(bool) { return scalar(); }
  bool number_integer(number_integer_t) { return scalar(); }
  bool number_unsigned(number_unsigned_t) { return scalar(); }
  bool number_float(number_float_t, const string_t& text) { return scalar() && is_json_number(text); }
  bool string(string_t& text) { return scalar() && text.find('\0') == string_t::npos; }
  bool binary(binary_t&) { return false; }
  bool key(string_t& text) {
    if (depth_ == 1) repeats_ |= !names_.insert(text).second && kNames.contains(text);
    return text.find('\0') == string_t::npos;
  }
  bool start_object(std::size_t) {
    object_ |= depth_ == 0;
    return enter();
  }
  bool end_object() { return leave(); }
  bool start_array(std::size_t) { return depth_ > 0 && enter(); }
  bool end_array() { return leave(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) {
    number_too_large_ = error.id == 406;
    return false;
  }

 private:
  bool scalar() const { return depth_ > 0; }
  bool enter() { return ++depth_ <= EnvelopeLimits{}.depth_max; }
  bool leave() {
    --depth_;
    return true;
  }

  int depth_ = 0;
  bool object_ = false;
  bool number_too_large_ = false;
  bool readable_ = false;
  bool repeats_ = false;
  std::set<std::string> names_;
};

struct Input {
  explicit Input(std::string_view bytes) {
    std::size_t part = 0;
    for (; part + 1 < parts.size(); ++part) {
      const std::size_t end = bytes.find('\xFF');
      parts[part] = bytes.substr(0, end);
      if (end == std::string_view::npos) return;
      bytes.remove_prefix(end + 1);
    }
    parts[part] = bytes;
  }
  std::array<std::string_view, 5> parts;
};

bool is_unread(const Malformed& malformed) {
  return malformed.reason.starts_with("byte ") || malformed.reason.starts_with("message: ");
}

bool same(const Event& a, const Event& b) {
  return a.event_id == b.event_id && a.event_name == b.event_name && a.event_version == b.event_version &&
         a.occurred_at == b.occurred_at && a.producer == b.producer && a.actor.id == b.actor.id &&
         a.actor.type == b.actor.type && a.subject.type == b.subject.type && a.subject.id == b.subject.id &&
         a.subject.version == b.subject.version && a.correlation_id == b.correlation_id &&
         a.causation_id == b.causation_id && a.idempotency_key == b.idempotency_key &&
         a.tenant_scope == b.tenant_scope && a.payload == b.payload;
}

void check_text(std::string_view text) {
  require(text.size() <= EnvelopeLimits{}.text_bytes_max, "a string is longer than its limit");
  require(!has_control_character(text), "a string holds a control character");
  require(!find_bad_utf8(text), "a string is not UTF-8");
}

void check_event(const Event& event, std::string_view body, const EnvelopeInput& input) {
  for (const std::string_view text :
       {event.event_id, event.event_name, event.producer, event.actor.id, event.actor.type,
        event.subject.type, event.subject.id, event.correlation_id, event.causation_id, event.idempotency_key,
        event.tenant_scope, event.key})
    check_text(text);
  require(is_uuid(event.event_id), "event_id is not a UUID");
  require(is_event_name(event.event_name), "event_name is not a name");
  require(is_subject_of(event.nats_subject, event.event_name), "event_name is not the subject");
  require(event.event_version >= 1, "event_version is below 1");
  require(event.subject.version >= 0, "subject.version is below 0");
  require(!event.key.empty() && !event.idempotency_key.empty(), "a key is empty");
  require(event.key == (input.cutover_key.empty() ? event.subject.id : input.cutover_key), "another key");
  require(event.payload.data() >= body.data() &&
              event.payload.data() + event.payload.size() <= body.data() + body.size(),
          "the payload lies outside of the message");

  const json read = json::parse(body);
  const auto is = [](const json& field, std::string_view text) {
    return field.get_ref<const std::string&>() == text;
  };
  require(is(read.at("event_id"), event.event_id) && is(read.at("event_name"), event.event_name) &&
              is(read.at("producer"), event.producer) &&
              is(read.at("correlation_id"), event.correlation_id) &&
              is(read.at("causation_id"), event.causation_id) &&
              is(read.at("idempotency_key"), event.idempotency_key) &&
              is(read.at("actor").at("actor_id"), event.actor.id) &&
              is(read.at("actor").at("actor_type"), event.actor.type) &&
              is(read.at("subject").at("subject_type"), event.subject.type) &&
              is(read.at("subject").at("subject_id"), event.subject.id) &&
              read.value("tenant_scope", "global") == event.tenant_scope,
          "a string is not what the message says");
  require(read.at("event_version") == event.event_version &&
              read.at("subject").at("version") == event.subject.version,
          "a number is not what the message says");
  require(read.at("payload").is_object() && json::parse(event.payload) == read.at("payload"),
          "the payload is not what the message says");

  std::string written;
  write_envelope(event, written);
  const Parsed again(written, {.nats_subject = event.nats_subject});
  if (written.size() <= EnvelopeLimits{}.message_bytes_max)
    require(again.is_event() && same(again.event(), event), "written and read again it is another event");
}

void check_malformed(const Malformed& malformed, const EnvelopeInput& input) {
  require(!malformed.reason.empty() && malformed.reason.size() < 200, "a reason is empty or long");
  require(!find_bad_utf8(malformed.reason), "a reason is not UTF-8");
  for (const std::string_view text :
       {malformed.event_id, malformed.event_name, malformed.key, malformed.correlation_id})
    check_text(text);
  require(malformed.event_id.empty() || is_uuid(malformed.event_id),
          "event_id of a malformed event is not a UUID");
  require(malformed.event_name.empty() || is_event_name(malformed.event_name), "event_name is not a name");
  if (!is_unread(malformed)) return;
  require(malformed.event_id.empty() && malformed.event_name.empty() && malformed.correlation_id.empty() &&
              (malformed.key.empty() || malformed.key == input.cutover_key),
          "something was read of a body that does not count");
}

}  // namespace

void check_envelope(std::string_view bytes) {
  static EnvelopeParser parser;  // reused, as a lane does: nothing may be left over from the message before
  static EventArena arena;
  arena.reset();
  const Input parts(bytes);
  const PaddedText body(parts.parts[0]);
  const EnvelopeInput input{.data = body.view(),
                            .nats_subject = parts.parts[1],
                            .cutover_key = parts.parts[2],
                            .traceparent = parts.parts[3],
                            .tracestate = parts.parts[4]};
  const auto result = parser.parse(input, arena);
  const auto* malformed = std::get_if<Malformed>(&result);

  const Reference reference(body.view());
  if (!reference.undecided())
    require(reference.readable() == !(malformed && is_unread(*malformed)),
            "two parsers disagree on what is JSON");
  if (malformed) return check_malformed(*malformed, input);
  require(!reference.repeats(), "a field that appears twice was not noticed");
  if (!reference.undecided()) check_event(std::get<Event>(result), body.view(), input);
}

}  // namespace cutover::test
