#pragma once

#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "runtime/postgres/connection.h"

namespace cutover::postgres {

// How long an operator's change may wait for the batches in flight. While it waits in the queue of the lock,
// new batches wait behind it: so it waits in slices, and lets them pass in between.
struct LockPatience {
  std::chrono::milliseconds slice{100};
  std::chrono::milliseconds pause{50};
  std::chrono::milliseconds limit{5'000};  // in total
};

// A transaction that holds a worker's lock.
struct Blocker {
  int pid = 0;
  std::string application;  // as the connection calls itself
  std::string user;
  double age_seconds = 0;  // of the transaction
  std::string state;       // active, idle in transaction
  std::string query;       // the last one, cut
};

// "pid 4711 (cutover search-projector 0 ..., app): transaction open for 61.2 s, idle in transaction: SELECT
// ..."
std::string to_text(const Blocker& blocker);

// The lock could not be had within the limit; nothing was changed. what() names who is in the way.
class LockBusy : public std::runtime_error {
 public:
  LockBusy(const std::string& what, std::vector<Blocker> in_the_way)
      : std::runtime_error(what), blockers(std::move(in_the_way)) {}
  std::vector<Blocker> blockers;  // oldest first
};

// Waits for a while; false when somebody wants to stop.
using Pause = std::function<bool(std::chrono::milliseconds)>;

// Begins a READ COMMITTED transaction that holds the exclusive lock of one worker, or, for an empty name, of
// all: nothing of it is in flight then. The caller commits or rolls back.
//   throws  LockBusy; StatementError when there is no such worker; DependencyDown
void begin_exclusive(Connection& connection, const std::string& worker, const LockPatience& patience,
                     const Pause& pause);

// Ends the connections of these transactions, unless they have ended since.
//   returns  how many it ended
//   throws   StatementError when the role may not
std::size_t terminate(Connection& connection, std::span<const Blocker> blockers);

}  // namespace cutover::postgres
