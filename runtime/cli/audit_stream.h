#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/cli/jetstream.h"
#include "runtime/contract/worker.h"
#include "runtime/policy/audit.h"
#include "runtime/postgres/audit_ledger.h"

namespace cutover::cli {

// An event that its owner acknowledged and nobody settled.
struct StrandedEvent {
  std::string stream;
  std::uint64_t sequence = 0;
  std::string subject;
  std::string message_id;
  std::string lane;
  Side owner = Side::worker;
  std::int64_t epoch = 0;  // of the segment that says so
};

// What became of the sequences of one stream that match a lane of one worker.
struct StreamAudit {
  std::string stream;
  int incarnation = 0;  // 0: nobody has worked on it
  SequenceRange range;
  AuditCounts counts;
  std::uint64_t unknown = 0;  // the monolith's, and the consumer through which it reads is not known
  std::vector<StrandedEvent> stranded;
  std::string trouble;  // why not everything could be said; empty when it could
};

inline constexpr std::uint64_t kToTheEnd = std::uint64_t{1} << 62;

using AuditProgress = std::function<void(std::string_view what, std::uint64_t done, std::uint64_t expected)>;

// Audits one stream beside whoever works on it: the ledger first, then the stream where the ledger knows
// nothing, then the consumers of the owners; and the ledger again for whatever looks stranded, twice before
// it is named.
//   range    what to look at; ends with the stream at the latest
//   throws   BrokerError, DependencyDown, StatementError
StreamAudit audit_stream(const WorkerSpec& worker, const std::string& stream, SequenceRange range,
                         postgres::AuditLedger& ledger, JetStream& jetstream, const AuditProgress& progress);

// What the ledger alone can say, while the broker is away.
StreamAudit audit_ledger_only(const std::string& stream, std::uint64_t from, postgres::AuditLedger& ledger,
                              const AuditProgress& progress);

}  // namespace cutover::cli
