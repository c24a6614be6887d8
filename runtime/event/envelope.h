#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "runtime/contract/event.h"
#include "runtime/event/event_arena.h"

namespace cutover {

// Bytes after a message that the parser may read; they must be readable, and should be zero.
inline constexpr std::size_t kEnvelopePadding = 64;

// What an envelope may be at most. Beyond it the event is malformed.
struct EnvelopeLimits {
  std::size_t message_bytes_max = 256 * 1024;
  int depth_max = 64;                // nesting of the whole message; the envelope itself is depth 1
  std::size_t text_bytes_max = 200;  // each string of the envelope, unescaped; also the Cutover-Key header
};

// One delivery, as far as parsing needs it. All views must outlive the event.
struct EnvelopeInput {
  std::string_view data{};  // followed by kEnvelopePadding bytes
  std::string_view
      nats_subject{};  // of the first publication, also in a replay or in shadow; empty: not checked
  std::string_view cutover_key{};  // headers, empty if absent
  std::string_view traceparent{};
  std::string_view tracestate{};
  Place place{};
};

// An event that cannot be worked on, with what could be read of it. A body that PostgreSQL could not hold as
// a JSON object (not JSON, not UTF-8, \u0000, half a surrogate pair, a number beyond any range), that is too
// large or too deep gives nothing: then every view is empty and only the header decides the key. Otherwise
// each view holds its field if that one is valid and appears once.
struct Malformed {
  std::string reason;  // "where: what", for an operator; field names and offsets, nothing of the content
  std::string_view event_id;
  std::string_view event_name;
  std::string_view key;  // header Cutover-Key, else subject.subject_id, else empty
  std::string_view correlation_id;
  Place place;
  std::string_view traceparent;
  std::string_view tracestate;
};

// Turns messages into events. Reuses its memory: one per thread. Bad input is a result, never an exception.
//
// Required are all fields of the envelope except tenant_scope (`global` if absent). correlation_id and
// causation_id may be empty strings, other strings may not. Strings hold no control characters. A field that
// appears twice is malformed: two readers could see two events. Unknown fields are ignored, in any order, as
// long as the whole is JSON.
class EnvelopeParser {
 public:
  explicit EnvelopeParser(EnvelopeLimits limits = {});
  ~EnvelopeParser();
  EnvelopeParser(EnvelopeParser&&) noexcept;
  EnvelopeParser& operator=(EnvelopeParser&&) noexcept;

  // Views of the result point into `input` and, for strings with escapes, into `arena`.
  // Throws std::bad_alloc only.
  std::variant<Event, Malformed> parse(const EnvelopeInput& input, EventArena& arena);

 private:
  struct Json;
  EnvelopeLimits limits_;
  std::unique_ptr<Json> json_;
};

}  // namespace cutover
