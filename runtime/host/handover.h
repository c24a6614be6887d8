#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/nats/connection.h"
#include "runtime/postgres/exclusive_lock.h"
#include "runtime/postgres/ownership.h"

namespace cutover {

// A change of ownership that cannot be made; nothing was changed. what() says why and what to do.
class HandoverRefused : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Who owns a worker's events from now on.
struct Handover {
  std::string worker;
  std::vector<std::string> streams;  // of its lanes
  Mode mode = Mode::monolith;
  int percent_hundredths = 0;  // canary
  postgres::LogLine log;       // result and detail are filled in
  postgres::LockPatience patience;
  bool terminate_blockers = false;  // end who was in the way for the whole time, and try once more
  std::chrono::milliseconds broker_limit{1'000};  // for its answers, while the lock is held
};

struct HandedOver {
  std::vector<postgres::AppendedSegment> segments;
  std::vector<postgres::Blocker> terminated;
  std::chrono::microseconds held{0};  // from the lock to the commit
  std::vector<std::string> warnings;
};

// What else happens in the transaction of a hand-over, behind the new segments. Returns counts for the log.
using AlsoInTransaction = std::function<std::map<std::string, std::uint64_t>(
    postgres::Connection&, const std::vector<postgres::AppendedSegment>&)>;

// Waits out every batch in flight, asks the broker how long the streams are, appends one epoch of segments,
// writes the operators' log, commits. To the monolith it goes even when the broker is silent or a stream was
// deleted or lost its end: the boundary is then what the ledger has seen, which is as right, since nothing
// beyond it was touched by anybody.
//   database  connected; nobody else uses it meanwhile
//   throws    postgres::LockBusy, HandoverRefused, ClaimRefused, StatementError, BrokerError, DependencyDown
HandedOver hand_over(postgres::Connection& database, Connection& broker, const Handover& handover,
                     const postgres::Pause& pause, const AlsoInTransaction& also = {});

// Goes on with a stream that was deleted and created anew; each worker keeps its mode. Returns the present
// incarnation, which is the old one when the stream is the one that the ledger knows.
//   throws  as hand_over
int start_incarnation(postgres::Connection& database, Connection& broker, const std::string& stream,
                      const postgres::LogLine& log, const postgres::LockPatience& patience,
                      const postgres::Pause& pause);

}  // namespace cutover
