#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "runtime/contract/worker.h"
#include "runtime/nats/connection.h"
#include "runtime/postgres/ownership.h"

namespace cutover {

// What waits in a worker's streams: events that a side owns and that neither side settled.

// One of them, with everything that it takes to publish it again.
struct BacklogEvent {
  std::uint64_t sequence = 0;
  std::string event_id;  // as the ledger hashes it; empty where it could not be read
  std::string subject;
  std::string key;
  std::string headers;  // JSON object: the trace
  std::string payload;  // as received
};

// The part of one stream.
struct Backlog {
  std::string stream;
  int incarnation = 0;
  std::uint64_t read_to = 0;         // everything up to it is in `events`
  std::vector<BacklogEvent> events;  // ascending
};

// Reads what one side owns of each stream of a worker and nobody settled, up to the present end of the
// streams, each lane from where its consumer stands. Streams that are another life than the ledger's, or
// gone, are left out.
//   bodies    false: sequence and key only
//   progress  hears how many were read
//   throws    BrokerError, DependencyDown, StatementError
std::vector<Backlog> read_backlog(postgres::Connection& database, Connection& broker,
                                  const WorkerSpec& worker, Side side, bool bodies, Deadline deadline,
                                  const std::function<void(std::uint64_t)>& progress = {});

// Under the exclusive lock: what came since.
void top_up(postgres::Connection& database, Connection& broker, const WorkerSpec& worker,
            std::vector<Backlog>& backlog, Deadline deadline);

// Under the exclusive lock, behind the new segments: settles the events as seized and puts their copies into
// the outbox, then does the same with replays. What the ledger says is settled meanwhile is passed over.
struct Seized {
  std::uint64_t events = 0;
  std::uint64_t replays = 0;
};
Seized seize(postgres::Connection& database, const std::string& worker, std::int64_t epoch,
             const std::vector<Backlog>& backlog);

}  // namespace cutover
