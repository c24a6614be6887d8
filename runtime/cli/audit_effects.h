#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "runtime/cli/audit_stream.h"
#include "runtime/postgres/audit_outbox.h"

namespace cutover::cli {

// What became of a worker's outgoing events, as far as the outbox still keeps them.
struct EffectsAudit {
  std::uint64_t published = 0;                    // looked at
  std::vector<postgres::PublishedEvent> missing;  // their stream holds something else there, or nothing
  postgres::WaitingEvents waiting;                // not published for longer than a minute
  std::uint64_t redriven = 0;                     // of the missing ones: set back to waiting
};

inline constexpr std::chrono::seconds kWaitingLimit{60};

struct Redrive {
  std::string actor, reason;  // for the operators' log
};

// Compares the message id at each place with what was published there. A message that its stream has let go
// by age or size is not missing, nor is one of a work queue.
//   redrive  lets the relay publish the missing ones again, and says so in the operators' log
//   throws   BrokerError, DependencyDown, StatementError
EffectsAudit audit_effects(postgres::AuditOutbox& outbox, JetStream& jetstream,
                           const std::optional<Redrive>& redrive, const AuditProgress& progress);

}  // namespace cutover::cli
