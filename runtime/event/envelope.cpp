#include "runtime/event/envelope.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>

#include <fmt/format.h>
#include <simdjson.h>

#include "runtime/contract/timestamp.h"
#include "runtime/event/field_rules.h"
#include "runtime/event/json_body.h"
#include "runtime/event/json_text.h"

namespace cutover {
namespace {

static_assert(simdjson::SIMDJSON_PADDING <= kEnvelopePadding, "messages are padded too little for simdjson");

constexpr std::size_t kEscapeGrowth = 6;    // \u0041 is one byte
constexpr std::size_t kNameBytesMax = 128;  // any known field name, escaped as longly as it can be
constexpr std::size_t kTracestateBytesMax = 512;

template <std::size_t n>
using Names = std::array<std::string_view, n>;

enum EnvelopeField : std::size_t {
  kEventId,
  kEventName,
  kEventVersion,
  kOccurredAt,
  kProducer,
  kActor,
  kSubject,
  kCorrelationId,
  kCausationId,
  kIdempotencyKey,
  kTenantScope,
  kPayload,
  kEnvelopeFields
};
constexpr Names<kEnvelopeFields> kEnvelopeNames{
    "event_id", "event_name",     "event_version", "occurred_at",     "producer",     "actor",
    "subject",  "correlation_id", "causation_id",  "idempotency_key", "tenant_scope", "payload"};

enum ActorField : std::size_t { kActorId, kActorType, kActorFields };
constexpr Names<kActorFields> kActorNames{"actor_id", "actor_type"};

enum SubjectField : std::size_t { kSubjectType, kSubjectId, kSubjectVersion, kSubjectFields };
constexpr Names<kSubjectFields> kSubjectNames{"subject_type", "subject_id", "version"};

constexpr std::uint32_t bit(std::size_t field) {
  return std::uint32_t{1} << field;
}

// Where in the envelope something stands; put into words only when something is wrong.
struct Where {
  std::string_view parent;
  std::string_view name;
  int inner_depth() const { return parent.empty() ? 2 : 3; }
};

// Reads one message. A function that returns false met something after which nothing of the body counts.
class Reader {
 public:
  Reader(const EnvelopeInput& input, const EnvelopeLimits& limits, EventArena& arena)
      : input_(input),
        limits_(limits),
        arena_(arena),
        json_(input.data, limits.message_bytes_max, limits.depth_max) {}

  void read(simdjson::ondemand::parser& parser) {
    if (!read_body(parser)) {
      event_ = {};
      problem_ = json_.problem();
    }
    check_headers();
  }

  std::variant<Event, Malformed> result() {
    event_.place = input_.place;
    event_.nats_subject = input_.nats_subject.empty() ? event_.event_name : input_.nats_subject;
    if (event_.tenant_scope.empty()) event_.tenant_scope = "global";
    if (problem_.empty()) return event_;
    return Malformed{std::move(problem_),   event_.event_id, event_.event_name,  event_.key,
                     event_.correlation_id, event_.place,    event_.traceparent, event_.tracestate};
  }

 private:
  // The first fault is the reason. Reading goes on, for what else can be read.
  void fault(const Where& where, std::string_view what) {
    if (problem_.empty())
      problem_ = fmt::format("{}{}{}: {}", where.parent, where.parent.empty() ? "" : ".", where.name, what);
  }

  bool read_body(simdjson::ondemand::parser& parser) {
    JsonBody::Object envelope;
    std::uint32_t repeated = 0;
    const auto read = [&](std::size_t field, JsonBody::Value& value) { return read_field(field, value); };
    if (!json_.check_bytes() || !json_.open(parser, envelope) ||
        !read_object(envelope, 1, {}, kEnvelopeNames, bit(kTenantScope), repeated, read) || !json_.close())
      return false;
    if (repeated & bit(kEventId)) event_.event_id = {};
    if (repeated & bit(kEventName)) event_.event_name = {};
    if (repeated & bit(kCorrelationId)) event_.correlation_id = {};
    if (repeated & bit(kSubject)) event_.subject = {};
    return true;
  }

  void check_headers() {
    if (!input_.cutover_key.empty()) {
      if (input_.cutover_key.size() > limits_.text_bytes_max)
        fault({"header", "Cutover-Key"}, fmt::format("is longer than {} bytes", limits_.text_bytes_max));
      else if (has_control_character(input_.cutover_key) || find_bad_utf8(input_.cutover_key))
        fault({"header", "Cutover-Key"}, "holds bytes that are not text");
      else
        event_.key = input_.cutover_key;
    } else {
      event_.key = event_.subject.id;
    }
    if (is_traceparent(input_.traceparent)) {
      event_.traceparent = input_.traceparent;
      const bool printable = std::all_of(input_.tracestate.begin(), input_.tracestate.end(),
                                         [](char c) { return c >= 0x20 && c < 0x7F; });
      if (printable && input_.tracestate.size() <= kTracestateBytesMax) event_.tracestate = input_.tracestate;
    }
  }

  template <std::size_t n>
  static std::size_t find(const Names<n>& names, std::string_view name, std::size_t guess) {
    if (guess < n && names[guess] == name) return guess;
    return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
  }

  // Reads the known fields of an object by `read(field, value)`, each once, and walks over the others.
  //   depth     of the object
  //   optional  bits of the fields that may be absent
  //   repeated  gets the bits of the fields that appear twice
  template <std::size_t n, class Read>
  bool read_object(JsonBody::Object& object, int depth, std::string_view parent, const Names<n>& names,
                   std::uint32_t optional, std::uint32_t& repeated, Read read) {
    std::uint32_t seen = 0;
    std::size_t guess = 0;  // producers keep the order of the page
    for (auto next : object) {
      JsonBody::Field field;
      if (!json_.take_field(std::move(next), field)) return false;
      std::array<char, kNameBytesMax> buffer;
      const std::size_t index = find(names, json_.name_of(field, buffer.data(), buffer.size()), guess);
      JsonBody::Value& value = field.value();
      bool going;
      if (index == n) {
        going = json_.walk(value, depth + 1);
      } else if (seen & bit(index)) {
        fault({parent, names[index]}, "appears twice");
        repeated |= bit(index);
        going = json_.walk(value, depth + 1);
      } else {
        seen |= bit(index);
        guess = index + 1;
        going = read(index, value);
      }
      if (!going) return false;
    }
    for (std::size_t i = 0; i < n; ++i)
      if (!((seen | optional) & bit(i))) fault({parent, names[i]}, "is missing");
    return true;
  }

  bool read_field(std::size_t field, JsonBody::Value& value) {
    const Where where{{}, kEnvelopeNames[field]};
    switch (field) {
      case kEventId:
        return read_text(where, value, event_.event_id) &&
               require(event_.event_id, is_uuid, where, "is not a UUID");
      case kEventName:
        return read_event_name(where, value);
      case kEventVersion: {
        std::int64_t version = 0;
        if (!read_integer(where, value, 1, std::numeric_limits<int>::max(), version)) return false;
        event_.event_version = static_cast<int>(version);
        return true;
      }
      case kOccurredAt:
        return read_time(where, value);
      case kProducer:
        return read_text(where, value, event_.producer);
      case kActor:
        return read_actor(where, value);
      case kSubject:
        return read_subject(where, value);
      case kCorrelationId:
        return read_text(where, value, event_.correlation_id, true);
      case kCausationId:
        return read_text(where, value, event_.causation_id, true);
      case kIdempotencyKey:
        return read_text(where, value, event_.idempotency_key);
      case kTenantScope:
        return read_text(where, value, event_.tenant_scope);
      default:
        return read_payload(where, value);
    }
  }

  bool read_event_name(const Where& where, JsonBody::Value& value) {
    if (!read_text(where, value, event_.event_name) ||
        !require(event_.event_name, is_event_name, where, "is not <domain>.<entity>_<verb>"))
      return false;
    if (!event_.event_name.empty() && !input_.nats_subject.empty() &&
        !is_subject_of(input_.nats_subject, event_.event_name))
      fault(where, "is not the NATS subject that it came on, nor that without a routing token");
    return true;
  }

  bool read_time(const Where& where, JsonBody::Value& value) {
    std::string_view text;
    if (!read_text(where, value, text)) return false;
    const std::optional<Instant> at = parse_timestamp(text);
    if (at)
      event_.occurred_at = *at;
    else
      fault(where, "is not an RFC 3339 time in UTC");
    return true;
  }

  bool read_actor(const Where& where, JsonBody::Value& value) {
    const auto read = [&](std::size_t field, JsonBody::Value& inner) {
      const Where at{where.name, kActorNames[field]};
      if (field == kActorId) return read_text(at, inner, event_.actor.id);
      return read_text(at, inner, event_.actor.type) &&
             require(event_.actor.type, is_actor_type, at, "is not user, system, operator or business_admin");
    };
    std::uint32_t repeated = 0;
    return read_inner(where, value, kActorNames, repeated, read);
  }

  bool read_subject(const Where& where, JsonBody::Value& value) {
    const auto read = [&](std::size_t field, JsonBody::Value& inner) {
      const Where at{where.name, kSubjectNames[field]};
      if (field == kSubjectType) return read_text(at, inner, event_.subject.type);
      if (field == kSubjectId) return read_text(at, inner, event_.subject.id);
      return read_integer(at, inner, 0, std::numeric_limits<std::int64_t>::max(), event_.subject.version);
    };
    std::uint32_t repeated = 0;
    if (!read_inner(where, value, kSubjectNames, repeated, read)) return false;
    if (repeated & bit(kSubjectId)) event_.subject.id = {};
    return true;
  }

  template <std::size_t n, class Read>
  bool read_inner(const Where& where, JsonBody::Value& value, const Names<n>& names, std::uint32_t& repeated,
                  Read read) {
    if (*JsonBody::token_of(value).data() != '{') {
      fault(where, "must be an object");
      return json_.walk(value, where.inner_depth());
    }
    JsonBody::Object object;
    return json_.enter(value, object) && read_object(object, 2, where.name, names, 0, repeated, read);
  }

  bool read_payload(const Where& where, JsonBody::Value& value) {
    const char* const first = JsonBody::token_of(value).data();
    if (*first != '{') fault(where, "must be an object");
    if (!json_.walk(value, where.inner_depth())) return false;
    event_.payload = json_.text_since(first);
    return true;
  }

  bool read_text(const Where& where, JsonBody::Value& value, std::string_view& out,
                 bool may_be_empty = false) {
    if (*JsonBody::token_of(value).data() != '"') {
      fault(where, "must be a string");
      return json_.walk(value, where.inner_depth());
    }
    std::string_view text;
    if (!json_.take_string(value, text)) return false;
    if (json_.has_escapes() && text.size() <= limits_.text_bytes_max * kEscapeGrowth &&
        text.find('\\') != std::string_view::npos) {
      char* const memory = arena_.take(text.size());
      text = {memory, unescape(text, memory)};
    }
    if (text.size() > limits_.text_bytes_max)
      fault(where, fmt::format("is longer than {} bytes", limits_.text_bytes_max));
    else if (text.empty() && !may_be_empty)
      fault(where, "is empty");
    else if (json_.may_hold_control_characters() && has_control_character(text))
      fault(where, "holds a control character");
    else
      out = text;
    return true;
  }

  // Empties a text that breaks its rule. Always true, so that it reads well after read_text.
  bool require(std::string_view& text, bool (*rule)(std::string_view) noexcept, const Where& where,
               std::string_view what) {
    if (text.empty() || rule(text)) return true;
    fault(where, what);
    text = {};
    return true;
  }

  bool read_integer(const Where& where, JsonBody::Value& value, std::int64_t least, std::int64_t most,
                    std::int64_t& out) {
    const std::string_view token = JsonBody::token_of(value);
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), number);
    if (error != std::errc{} || end != token.data() + token.size() || number < least || number > most)
      fault(where, fmt::format("must be an integer from {}", least));
    else
      out = number;
    return json_.walk(value, where.inner_depth());
  }

  const EnvelopeInput& input_;
  const EnvelopeLimits& limits_;
  EventArena& arena_;
  JsonBody json_;
  std::string problem_;
  Event event_;
};

}  // namespace

struct EnvelopeParser::Json {
  simdjson::ondemand::parser parser;
};

EnvelopeParser::EnvelopeParser(EnvelopeLimits limits) : limits_(limits), json_(std::make_unique<Json>()) {}
EnvelopeParser::~EnvelopeParser() = default;
EnvelopeParser::EnvelopeParser(EnvelopeParser&&) noexcept = default;
EnvelopeParser& EnvelopeParser::operator=(EnvelopeParser&&) noexcept = default;

std::variant<Event, Malformed> EnvelopeParser::parse(const EnvelopeInput& input, EventArena& arena) {
  Reader reader(input, limits_, arena);
  reader.read(json_->parser);
  return reader.result();
}

}  // namespace cutover
