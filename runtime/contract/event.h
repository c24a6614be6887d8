#pragma once

#include <cstdint>
#include <string_view>

#include "runtime/contract/clock.h"

namespace cutover {

// Where an event stands: which life of which stream, and at which sequence.
struct Place {
  std::string_view stream;
  int incarnation = 0;  // 1 for the first life of a stream
  std::uint64_t sequence = 0;
};

struct Actor {
  std::string_view id;
  std::string_view type;  // user | system | operator | business_admin
};

struct Subject {
  std::string_view type;
  std::string_view id;
  std::int64_t version = 0;  // grows with every change of that aggregate
};

// One parsed event. All views point into memory of the batch and die with it: copy what outlives `handle`.
struct Event {
  std::string_view event_id;    // UUID
  std::string_view event_name;  // profile.updated
  int event_version = 0;
  Instant occurred_at;
  std::string_view producer;
  Actor actor;
  Subject subject;
  std::string_view correlation_id;
  std::string_view causation_id;
  std::string_view idempotency_key;  // same key = same work
  std::string_view tenant_scope;     // part of the idempotency key
  std::string_view payload;          // a JSON object, as it was sent; followed by at least 64 readable bytes

  std::string_view key;          // ordering and ownership: header Cutover-Key, else subject.id
  std::string_view nats_subject;  // event name, optionally with a routing token
  Place place;                   // of the original, also in a replay
  std::string_view traceparent;  // W3C trace context, empty without one
  std::string_view tracestate;
};

}  // namespace cutover
