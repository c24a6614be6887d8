#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/contract/clock.h"
#include "runtime/policy/audit.h"
#include "runtime/postgres/session.h"

namespace cutover::postgres {

// A life of a stream that somebody has worked on.
struct KnownStream {
  std::int64_t stream_id = 0;
  std::string stream;
  int incarnation = 0;
  Instant created_at;  // the broker's
};

// A durable through which the monolith sees events; its gate names them in its heartbeat.
struct MonolithConsumer {
  std::string stream;
  std::string durable;
};

// Serving's ledger of one worker, as an auditor reads it: each call is one short SELECT, so that nothing
// waits for it and its snapshot holds up no clean-up. Shadow's ledger is not part of it. Throws
// StatementError and DependencyDown. One thread.
class AuditLedger {
 public:
  // The session outlives this. A worker that never ran has settled nothing.
  AuditLedger(Session& session, std::string worker) : session_(session), worker_(std::move(worker)) {}

  // The newest life, or this one. nullopt: nobody has worked on it.
  std::optional<KnownStream> stream(const std::string& name, int incarnation = 0);
  // What is settled of a stretch; how many ranges that took is the price of asking.
  struct Stretch {
    LedgerView view;
    std::size_t ranges = 0;
  };
  Stretch stretch(const KnownStream& stream, SequenceRange range);
  // The highest sequence above this one that was settled; nullopt without one.
  std::optional<std::uint64_t> settled_beyond(const KnownStream& stream, std::uint64_t sequence);
  // Of a stream that nobody has worked on, there are no segments.
  Ownership ownership(const std::optional<KnownStream>& stream);
  // Those of the instance that was seen last.
  std::vector<MonolithConsumer> monolith_consumers();

 private:
  Session& session_;
  const std::string worker_;
};

}  // namespace cutover::postgres
