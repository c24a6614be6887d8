#include "runtime/engine/worker_transaction.h"

#include "runtime/event/envelope_writer.h"

namespace cutover {

std::unique_ptr<Rows> WorkerTransaction::query(std::string_view sql, std::initializer_list<Param> parameters) {
  return batch_.query(sql, parameters);
}

void WorkerTransaction::execute(std::string_view sql, std::initializer_list<Param> parameters) {
  batch_.execute(sql, parameters);
}

void WorkerTransaction::emit(const Event& cause, Outgoing outgoing) {
  bool caused = !cause.event_id.empty();
  batch_.enqueue(make_outbox_row(caused ? &cause : nullptr, std::move(outgoing), producer_, ids_, now_));
}

OutboxRow make_outbox_row(const Event* cause, Outgoing outgoing, std::string_view producer, EventIds& ids, Instant now) {
  if (outgoing.idempotency_key.empty() || outgoing.idempotency_key.size() > 200)
    throw std::invalid_argument("emit " + outgoing.event_name + ": the idempotency key has " +
                                std::to_string(outgoing.idempotency_key.size()) + " bytes, allowed are 1 to 200");
  OutboxRow row;
  row.event_id = row.message_id = ids.next();
  Event event;
  event.event_id = row.event_id;
  event.event_name = outgoing.event_name;
  event.event_version = outgoing.event_version;
  event.occurred_at = outgoing.available_at ? std::max(*outgoing.available_at, now) : now;
  event.producer = producer;
  event.actor = {producer, "system"};
  event.subject = {outgoing.subject_type, outgoing.subject_id, outgoing.subject_version};
  event.correlation_id = cause ? (cause->correlation_id.empty() ? cause->event_id : cause->correlation_id) : event.event_id;
  event.causation_id = cause ? cause->event_id : std::string_view();
  event.idempotency_key = outgoing.idempotency_key;
  event.tenant_scope = cause ? cause->tenant_scope : std::string_view("global");
  event.payload = outgoing.payload;
  write_envelope(event, row.payload);
  row.subject = outgoing.event_name;
  if (!outgoing.routing_token.empty()) row.subject += "." + outgoing.routing_token;
  row.key = std::move(outgoing.subject_id);
  row.priority = outgoing.priority;
  row.available_at = outgoing.available_at;
  row.timer_key = std::move(outgoing.timer_key);
  if (cause && !cause->traceparent.empty()) {
    row.headers.emplace_back("traceparent", cause->traceparent);
    if (!cause->tracestate.empty()) row.headers.emplace_back("tracestate", cause->tracestate);
  }
  return row;
}

}  // namespace cutover
