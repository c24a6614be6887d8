#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/host/settings.h"
#include "runtime/policy/guards.h"
#include "runtime/postgres/ownership.h"

namespace cutover::cli {

// What `cutover status` shows, read at one moment.

struct InstanceStatus {
  std::string instance;
  std::string side;  // worker | monolith
  std::string host;
  std::string build;
  int pid = 0;
  bool alive = false;  // its process holds the instance's lock
  bool ready = false;
  double up_seconds = 0;
  double seen_seconds = 0;  // since it last reported
};

struct LaneStatus {
  std::string lane;
  std::string stream;
  std::string consumer;
  int priority = 0;
  bool exists = false;
  std::uint64_t pending = 0;      // not delivered yet: the lag
  std::uint64_t ack_pending = 0;  // delivered, not acked
  std::uint64_t redelivered = 0;
  std::uint64_t last_sequence = 0;  // of the stream
};

// How far the hand-over is, and what keeps it from going on.
struct OwnershipStatus {
  GuardFacts facts;
  std::vector<postgres::SegmentRow> segments;     // of the newest epoch of each stream
  std::optional<std::uint64_t> monolith_pending;  // as its gate says; none: it does not
  std::optional<Step> next;                       // none: it is complete
  std::vector<Guard> guards;                      // of that step
  std::string not_reversible;                     // why a reverse would help nobody; empty: it would
};

struct WorkerStatus {
  std::string worker;
  std::vector<InstanceStatus> instances;
  std::vector<LaneStatus> lanes;
  std::map<std::string, std::uint64_t> settled_last_hour;  // by class
  std::map<std::string, std::uint64_t> dead_letters;       // open and replaying ones, by kind
  std::uint64_t retrying = 0;                              // events with failures that are not settled
  std::optional<OwnershipStatus> ownership;                // nullopt without PostgreSQL
};

struct OutboxStatus {
  std::uint64_t waiting = 0;
  double oldest_seconds = 0;
  std::uint64_t timers = 0;
  std::uint64_t failing = 0;  // of the waiting ones, tried before
  std::uint64_t relays = 0;   // connections of relays
};

struct Status {
  std::vector<WorkerStatus> workers;
  std::optional<OutboxStatus> outbox;  // nullopt without PostgreSQL
  std::vector<std::string> troubles;   // what could not be asked
};

// Asks PostgreSQL and the broker; what does not answer becomes a trouble. Never throws for a server that is
// away.
//   workers   names; all that the settings know when empty
Status read_status(const Settings& settings, const std::vector<std::string>& workers);

}  // namespace cutover::cli
