#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/postgres/session.h"

namespace cutover::postgres {

// An outgoing event of a worker that a stream acknowledged.
struct PublishedEvent {
  std::int64_t outbox_id = 0;
  std::string message_id;
  std::string subject;
  std::string stream;
  std::uint64_t sequence = 0;
  std::string published_at;
};

// Outgoing events that should have left long ago.
struct WaitingEvents {
  std::uint64_t count = 0;
  double oldest_seconds = 0;
  std::string error;  // why the oldest of those that were tried did not leave; empty: none was tried
};

// What a worker sent, as an auditor reads it. Rows stay for `outbox.keep` after they left. Throws
// StatementError and DependencyDown. One thread.
class AuditOutbox {
 public:
  // The session outlives this.
  AuditOutbox(Session& session, std::string worker) : session_(session), worker_(std::move(worker)) {}

  // The next ones behind `after`, ascending, at most `rows_max`.
  std::vector<PublishedEvent> published(std::int64_t after, std::size_t rows_max);
  // Those of the given ones that still say that they were published to that place.
  std::vector<PublishedEvent> still_published(std::span<const PublishedEvent> events);
  WaitingEvents waiting(std::chrono::seconds longer_than);
  // Lets the relay publish them again, under their message ids; those that have changed since stay as they
  // are. Returns how many it was; that goes into the operators' log. Needs the role cutover_operator.
  std::uint64_t reopen(std::span<const PublishedEvent> events, const std::string& actor,
                       const std::string& reason);

 private:
  Session& session_;
  const std::string worker_;
};

}  // namespace cutover::postgres
