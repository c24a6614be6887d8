#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "runtime/postgres/session.h"

namespace cutover::postgres {

// A place in a stream.
struct StreamPlace {
  std::string stream;
  int incarnation = 0;  // 0: the newest
  std::uint64_t sequence = 0;
};

// A row of the outbox. `payload` holds the envelope as it was written.
struct OutgoingEvent {
  std::int64_t outbox_id = 0;
  std::string message_id, event_id, subject, payload;
  std::string stream;  // empty while it waits
  std::uint64_t sequence = 0;
  std::string created_at, published_at, available_at, error;
};

// What the database knows about single events of one worker. Answers are JSON with times as PostgreSQL writes
// them; reads only. Throws StatementError and DependencyDown. One thread.
class EventHistory {
 public:
  // The session outlives this.
  EventHistory(Session& session, std::string worker) : session_(session), worker_(std::move(worker)) {}

  // Dead letters of this event id, the newest first.
  std::vector<StreamPlace> letters_of(const std::string& event_id);
  // Rows of the outbox with this message or event id, or whose envelope mentions `text`; at most 200.
  std::vector<OutgoingEvent> outgoing_of(const std::string& id);
  std::vector<OutgoingEvent> outgoing_mentioning(const std::string& text);
  // Copies of a place: `replay:...`, `seize:...`, `dlq:...`.
  std::vector<OutgoingEvent> copies_of(const StreamPlace& place);

  // The segment that decides about a place: {"epoch", "mode", "percent", "from_sequence", "actor", "reason",
  // "at"}.
  nlohmann::ordered_json segment(std::int64_t stream_id, std::int64_t epoch);
  // [{"side", "class", "settled_at", "exact", "this_event"}]; exact: the time is this batch's, not that of a
  // block of batches; this_event: false when the place was settled for another event, null when nobody knows.
  nlohmann::ordered_json settlements(std::int64_t stream_id, std::uint64_t sequence,
                                     const std::string& event_id);
  // [{"attempts", "lone_crashes", "suspect", "first_failed_at", "last_failed_at", "last_error", "shadow"}]
  nlohmann::ordered_json attempts(std::int64_t stream_id, std::uint64_t sequence);
  // [{"letter_id", "state", "kind", "error", "attempts", "lane", "side", "plan_id", "shadow", "event_id",
  // "event_name", "subject", "key", "tenant_scope", "idempotency_key", "published_at", "history", "headers"}]
  nlohmann::ordered_json letters(std::int64_t stream_id, std::uint64_t sequence);
  std::string letter_payload(std::int64_t letter_id);
  // [{"stream", "incarnation", "sequence", "found_in", "at"}]: places that hold this key's mark, or have a
  // dead letter with it.
  nlohmann::ordered_json same_key(const std::string& tenant_scope, const std::string& idempotency_key);

 private:
  nlohmann::ordered_json array(const char* sql, const std::vector<Cell>& parameters);
  std::vector<OutgoingEvent> outgoing(const std::string& where, const std::vector<Cell>& parameters);

  Session& session_;
  const std::string worker_;
};

}  // namespace cutover::postgres
