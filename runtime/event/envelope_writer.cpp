#include "runtime/event/envelope_writer.h"

#include <charconv>
#include <string_view>

#include "runtime/contract/timestamp.h"
#include "runtime/event/json_text.h"

namespace cutover {
namespace {

constexpr std::size_t kFixedBytes = 400;  // names, punctuation, numbers and the time, generously

void append_text(std::string& out, std::string_view before, std::string_view text) {
  out += before;
  append_escaped(out, text);
  out += '"';
}

void append_integer(std::string& out, std::int64_t number) {
  char text[20];
  out.append(text, std::to_chars(text, text + sizeof text, number).ptr);
}

}  // namespace

void write_envelope(const Event& event, std::string& out) {
  out.reserve(out.size() + kFixedBytes + event.event_name.size() + event.producer.size() +
              event.actor.id.size() + event.subject.type.size() + event.subject.id.size() +
              event.correlation_id.size() + event.causation_id.size() + event.idempotency_key.size() +
              event.tenant_scope.size() + event.payload.size());
  append_text(out, R"({"event_id":")", event.event_id);
  append_text(out, R"(,"event_name":")", event.event_name);
  out += R"(,"event_version":)";
  append_integer(out, event.event_version);
  out += R"(,"occurred_at":")";
  append_timestamp(out, event.occurred_at);
  append_text(out, R"(","producer":")", event.producer);
  append_text(out, R"(,"actor":{"actor_id":")", event.actor.id);
  append_text(out, R"(,"actor_type":")", event.actor.type);
  append_text(out, R"(},"subject":{"subject_type":")", event.subject.type);
  append_text(out, R"(,"subject_id":")", event.subject.id);
  out += R"(,"version":)";
  append_integer(out, event.subject.version);
  append_text(out, R"(},"correlation_id":")", event.correlation_id);
  append_text(out, R"(,"causation_id":")", event.causation_id);
  append_text(out, R"(,"idempotency_key":")", event.idempotency_key);
  if (!event.tenant_scope.empty()) append_text(out, R"(,"tenant_scope":")", event.tenant_scope);
  out += R"(,"payload":)";
  out += event.payload;
  out += '}';
}

}  // namespace cutover
