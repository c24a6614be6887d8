#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/cli/jetstream.h"
#include "runtime/cli/output.h"
#include "runtime/contract/worker.h"
#include "runtime/postgres/audit_ledger.h"
#include "runtime/postgres/event_history.h"

namespace cutover::cli {

struct ExplainRequest {
  std::string event;                 // an event id, or STREAM/SEQUENCE
  std::uint64_t scan_max = 200'000;  // sequences of each stream to search for an event id, from its end
  bool payload = false;
};

// The place that "CORE/4711" names; nullopt for another text.
std::optional<postgres::StreamPlace> parse_place(std::string_view text);

// The whole story of one event, as one document; what is not known is null, or an empty list:
//   place        {"stream", "incarnation", "sequence"}; null when the event was not found
//   found_in     place | outbox | dead letters | stream
//   class        as `cutover audit` says; null for an earlier incarnation
//   event        the envelope's fields, "key" and "bucket"; with "malformed" where it is none
//   owner        {"side", "mode", "percent", "epoch", "from_sequence", "actor", "reason", "at"}
//   settlements, attempts, dead_letters, same_key: as postgres::EventHistory has them
//   outbox       the rows that published the event; caused: those that it caused; copies: replays and the
//   like headers      [[name, value], ...] searched     [{"stream", "from", "to"}], newest first, when
//   streams were searched for an event id notes        sentences for an operator
// Throws CommandError, BrokerError, DependencyDown, StatementError.
Json explain(const WorkerSpec& worker, const ExplainRequest& request, postgres::Session& session,
             JetStream& jetstream);

}  // namespace cutover::cli
