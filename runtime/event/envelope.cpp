#include "runtime/event/envelope.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstdint>
#include <limits>
#include <new>
#include <optional>

#include <fmt/format.h>
#include <simdjson.h>

#include "runtime/event/field_rules.h"
#include "runtime/event/json_text.h"
#include "runtime/event/timestamp.h"

namespace cutover {
namespace {

namespace ondemand = simdjson::ondemand;

static_assert(simdjson::SIMDJSON_PADDING <= kEnvelopePadding, "messages are padded too little for simdjson");

constexpr std::size_t kFirstCapacity = 4 * 1024;
constexpr std::size_t kEscapeGrowth = 6;  // \u0041 is one byte
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

std::string_view without_trailing_space(const char* first, const char* last) {
  while (last > first && (last[-1] == ' ' || last[-1] == '\n' || last[-1] == '\r' || last[-1] == '\t'))
    --last;
  return {first, static_cast<std::size_t>(last - first)};
}

// The text of the value that the iterator stands on: a scalar as it was sent, one character for a container.
std::string_view token_of(ondemand::value& value) {
  const std::string_view token = value.raw_json_token();
  return without_trailing_space(token.data(), token.data() + token.size());
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

// Reads one message. A function that returns false met something after which nothing of the body counts.
class Reader {
 public:
  Reader(const EnvelopeInput& input, const EnvelopeLimits& limits, EventArena& arena)
      : input_(input), limits_(limits), arena_(arena) {}

  // What simdjson does not look at, or not in every version.
  bool body_can_be_stored() {
    if (input_.data.empty()) return stop("message: is empty");
    if (input_.data.size() > limits_.message_bytes_max)
      return stop(fmt::format("message: has {} bytes, the limit is {}", input_.data.size(),
                              limits_.message_bytes_max));
    if (const auto bad = find_bad_escape(input_.data, has_escapes_))
      return stop(fmt::format("byte {}: {}", bad->offset, bad->problem));
    if (input_.data.starts_with("\xEF\xBB\xBF")) return stop("byte 0: is not JSON: a byte order mark");
    return true;
  }

  bool read_body(ondemand::parser& parser) {
    auto started =
        parser.iterate(input_.data.data(), input_.data.size(), input_.data.size() + kEnvelopePadding);
    if (const auto error = std::move(started).get(document_)) return stop_at_stage_one(error);
    ondemand::object envelope;
    if (const auto error = document_.get_object().get(envelope)) return stop_here(error);
    std::uint32_t repeated = 0;
    if (!read_object(envelope, 1, {}, kEnvelopeNames, bit(kTenantScope), repeated,
                     [&](std::size_t field, ondemand::value value) { return read_field(field, value); }))
      return false;
    if (document_.current_location().error() != simdjson::OUT_OF_BOUNDS)
      return stop(fmt::format("byte {}: more follows after the envelope", offset()));
    forget(repeated);
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
  void fault(Where where, std::string_view what) {
    if (problem_.empty())
      problem_ = fmt::format("{}{}{}: {}", where.parent, where.parent.empty() ? "" : ".", where.name, what);
  }

  bool stop(std::string reason) {
    problem_ = std::move(reason);
    event_ = {};
    return false;
  }

  std::size_t offset() {
    const char* at = nullptr;
    if (document_.current_location().get(at)) return input_.data.size();
    return static_cast<std::size_t>(at - input_.data.data());
  }

  bool stop_here(simdjson::error_code error) {
    return stop(fmt::format("byte {}: {}", offset(), in_words(error)));
  }

  bool stop_at_stage_one(simdjson::error_code error) {
    if (error == simdjson::MEMALLOC) throw std::bad_alloc();
    if (const auto bad = find_bad_utf8(input_.data)) return stop(fmt::format("byte {}: is not UTF-8", *bad));
    return stop(fmt::format("message: {}", in_words(error)));
  }

  // The key of a field, unescaped. Longer than any known one: cut, it is unknown either way.
  std::string_view name_of(ondemand::field& field, std::array<char, 128>& buffer) {
    const char* const first = field.key().raw();
    const char* const end = input_.data.data() + input_.data.size();
    const char* last = std::find(first, end, '"');
    if (has_escapes_ && std::find(first, last, '\\') != last) {
      for (last = first; last < end && *last != '"';) last += *last == '\\' ? 2 : 1;
      const std::string_view escaped(first, static_cast<std::size_t>(last - first));
      if (escaped.size() > buffer.size()) return {};
      return {buffer.data(), unescape(escaped, buffer.data())};
    }
    return {first, static_cast<std::size_t>(last - first)};
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
  bool read_object(ondemand::object& object, int depth, std::string_view parent, const Names<n>& names,
                   std::uint32_t optional, std::uint32_t& repeated, Read read) {
    std::uint32_t seen = 0;
    std::size_t guess = 0;  // producers keep the order of the page
    for (auto next : object) {
      ondemand::field field;
      if (const auto error = std::move(next).get(field)) return stop_here(error);
      std::array<char, 128> buffer;
      const std::size_t index = find(names, name_of(field, buffer), guess);
      ondemand::value value = field.value();
      bool going;
      if (index == n) {
        going = walk(value, depth + 1);
      } else if (seen & bit(index)) {
        fault({parent, names[index]}, "appears twice");
        repeated |= bit(index);
        going = walk(value, depth + 1);
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

  bool read_field(std::size_t field, ondemand::value& value) {
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

  bool read_event_name(Where where, ondemand::value& value) {
    if (!read_text(where, value, event_.event_name) ||
        !require(event_.event_name, is_event_name, where, "is not <domain>.<entity>_<verb>"))
      return false;
    if (!event_.event_name.empty() && !input_.nats_subject.empty() &&
        !is_subject_of(input_.nats_subject, event_.event_name))
      fault(where, "is not the NATS subject that it came on, nor that without a routing token");
    return true;
  }

  bool read_time(Where where, ondemand::value& value) {
    std::string_view text;
    if (!read_text(where, value, text)) return false;
    const std::optional<Instant> at = parse_timestamp(text);
    if (at)
      event_.occurred_at = *at;
    else
      fault(where, "is not an RFC 3339 time in UTC");
    return true;
  }

  bool read_actor(Where where, ondemand::value& value) {
    ondemand::object object;
    bool is_object = false;
    if (!enter(where, value, object, is_object)) return false;
    std::uint32_t repeated = 0;
    return !is_object || read_object(object, 2, where.name, kActorNames, 0, repeated,
                                     [&](std::size_t field, ondemand::value inner) {
                                       const Where at{where.name, kActorNames[field]};
                                       if (field == kActorId) return read_text(at, inner, event_.actor.id);
                                       return read_text(at, inner, event_.actor.type) &&
                                              require(event_.actor.type, is_actor_type, at,
                                                      "is not user, system, operator or business_admin");
                                     });
  }

  bool read_subject(Where where, ondemand::value& value) {
    ondemand::object object;
    bool is_object = false;
    if (!enter(where, value, object, is_object)) return false;
    std::uint32_t repeated = 0;
    if (is_object && !read_object(object, 2, where.name, kSubjectNames, 0, repeated,
                                  [&](std::size_t field, ondemand::value inner) {
                                    const Where at{where.name, kSubjectNames[field]};
                                    if (field == kSubjectType)
                                      return read_text(at, inner, event_.subject.type);
                                    if (field == kSubjectId) return read_text(at, inner, event_.subject.id);
                                    return read_integer(at, inner, 0,
                                                        std::numeric_limits<std::int64_t>::max(),
                                                        event_.subject.version);
                                  }))
      return false;
    if (repeated & bit(kSubjectId)) event_.subject.id = {};
    return true;
  }

  bool read_payload(Where where, ondemand::value& value) {
    const char* const first = token_of(value).data();
    if (*first != '{') fault(where, "must be an object");
    if (!walk(value, where.inner_depth())) return false;
    event_.payload = without_trailing_space(first, input_.data.data() + offset());
    return true;
  }

  // An object to read into, or a fault and a walk over what is there instead.
  bool enter(Where where, ondemand::value& value, ondemand::object& object, bool& is_object) {
    is_object = *token_of(value).data() == '{';
    if (!is_object) {
      fault(where, "must be an object");
      return walk(value, where.inner_depth());
    }
    if (const auto error = value.get_object().get(object)) return stop_here(error);
    return true;
  }

  bool read_text(Where where, ondemand::value& value, std::string_view& out, bool may_be_empty = false) {
    const std::string_view token = token_of(value);
    if (*token.data() != '"') {
      fault(where, "must be a string");
      return walk(value, where.inner_depth());
    }
    if (!pass_string(value, token)) return false;
    std::string_view text = token.substr(1, token.size() - 2);
    if (has_escapes_ && text.size() <= limits_.text_bytes_max * kEscapeGrowth &&
        text.find('\\') != std::string_view::npos) {
      char* const memory = arena_.take(text.size());
      text = {memory, unescape(text, memory)};
    }
    if (text.size() > limits_.text_bytes_max)
      fault(where, fmt::format("is longer than {} bytes", limits_.text_bytes_max));
    else if (text.empty() && !may_be_empty)
      fault(where, "is empty");
    else if (has_control_character(text))
      fault(where, "holds a control character");
    else
      out = text;
    return true;
  }

  // Empties a text that breaks its rule. Always true, so that it reads well after read_text.
  bool require(std::string_view& text, bool (*rule)(std::string_view) noexcept, Where where,
               std::string_view what) {
    if (text.empty() || rule(text)) return true;
    fault(where, what);
    text = {};
    return true;
  }

  bool read_integer(Where where, ondemand::value& value, std::int64_t least, std::int64_t most,
                    std::int64_t& out) {
    const std::string_view token = token_of(value);
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), number);
    if (error != std::errc{} || end != token.data() + token.size() || number < least || number > most)
      fault(where, fmt::format("must be an integer from {}", least));
    else
      out = number;
    return walk(value, where.inner_depth());
  }

  bool pass_string(ondemand::value& value, std::string_view token) {
    if (token.size() < 2 || token.back() != '"') return stop_here(simdjson::TAPE_ERROR);
    const auto error = value.get_raw_json_string().error();
    return error ? stop_here(error) : true;
  }

  // Passes over a value and checks that all of it is JSON: on-demand parsing looks only at what it is asked
  // for.
  //   depth  of the value, if it is a container
  bool walk(ondemand::value& value, int depth) {
    const std::string_view token = token_of(value);
    switch (*token.data()) {
      case '"':
        return pass_string(value, token);
      case '{': {
        ondemand::object object;
        if (depth > limits_.depth_max) return too_deep();
        if (const auto error = value.get_object().get(object)) return stop_here(error);
        for (auto next : object) {
          ondemand::field field;
          if (const auto error = std::move(next).get(field)) return stop_here(error);
          if (!walk(field.value(), depth + 1)) return false;
        }
        return true;
      }
      case '[': {
        ondemand::array array;
        if (depth > limits_.depth_max) return too_deep();
        if (const auto error = value.get_array().get(array)) return stop_here(error);
        for (auto next : array) {
          ondemand::value element;
          if (const auto error = std::move(next).get(element)) return stop_here(error);
          if (!walk(element, depth + 1)) return false;
        }
        return true;
      }
      default:  // the iteration that we stand in steps over it
        if (token == "true" || token == "false" || token == "null" || is_json_number(token)) return true;
        return stop(fmt::format("byte {}: is not a JSON value", offset()));
    }
  }

  bool too_deep() {
    return stop(fmt::format("byte {}: is nested deeper than {} levels", offset(), limits_.depth_max));
  }

  void forget(std::uint32_t repeated) {
    if (repeated & bit(kEventId)) event_.event_id = {};
    if (repeated & bit(kEventName)) event_.event_name = {};
    if (repeated & bit(kCorrelationId)) event_.correlation_id = {};
    if (repeated & bit(kSubject)) event_.subject = {};
  }

  const EnvelopeInput& input_;
  const EnvelopeLimits& limits_;
  EventArena& arena_;
  ondemand::document document_;
  bool has_escapes_ = false;
  std::string problem_;
  Event event_;
};

}  // namespace

struct EnvelopeParser::Json {
  ondemand::parser parser;
};

EnvelopeParser::EnvelopeParser(EnvelopeLimits limits) : limits_(limits), json_(std::make_unique<Json>()) {}
EnvelopeParser::~EnvelopeParser() = default;
EnvelopeParser::EnvelopeParser(EnvelopeParser&&) noexcept = default;
EnvelopeParser& EnvelopeParser::operator=(EnvelopeParser&&) noexcept = default;

std::variant<Event, Malformed> EnvelopeParser::parse(const EnvelopeInput& input, EventArena& arena) {
  Reader reader(input, limits_, arena);
  if (reader.body_can_be_stored()) {
    // Grown by powers of two, or a slowly growing message would allocate each time.
    if (json_->parser.capacity() < input.data.size() &&
        json_->parser.allocate(std::max(kFirstCapacity, std::bit_ceil(input.data.size()))))
      throw std::bad_alloc();
    reader.read_body(json_->parser);
  }
  reader.check_headers();
  return reader.result();
}

}  // namespace cutover
