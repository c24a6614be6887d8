#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/contract/worker.h"
#include "runtime/engine/ports.h"
#include "runtime/engine/progress_keeper.h"
#include "runtime/event/envelope.h"
#include "runtime/event/event_ids.h"
#include "runtime/observe/metrics.h"
#include "runtime/observe/trace.h"
#include "runtime/policy/retry.h"

namespace cutover {

struct BatchOptions {
  RetrySettings retry;
  EnvelopeLimits limits;
  int lone_crashes_max = 3;       // dead letter after that many deaths of a process with the event alone in its batch
  int conflict_retries_max = 3;   // times a whole batch is tried again before it is split
  // Delay of an event whose earlier version is missing; doubled with each delivery up to the second. Thousands that wait
  // behind a backlog would else be most of what is delivered.
  std::chrono::milliseconds wait_for_predecessor{250}, wait_for_predecessor_max{4'000};
  int all_failed_rounds_max = 3;  // times that "everything failed" is blamed on the dependency while it answers probes
};

// The lane that a batch comes from.
struct BatchLane {
  const LaneSpec* spec = nullptr;
  LaneMetrics* metrics = nullptr;
  bool replay = false;  // messages carry their origin in headers
  bool twin = false;    // messages come back from shadow, and are worked on there only
};

// Called about what happened, from the engine's thread.
struct BatchHooks {
  std::function<void()> wrote_outgoing = [] {};  // the outbox has new rows
};

// Works on batches of one thread: parse, claim, worker, ledger, commit, acks. One call hides duplicates, dead letters,
// bisection and crash suspects. What it throws is nobody's fault: DependencyDown (nothing was applied, try again when the
// database is back) and ClaimRefused (an operator must act).
class BatchEngine {
 public:
  // Everything outlives this.
  BatchEngine(const WorkerSpec& spec, Worker& worker, MessageSource& source, TransactionSource& transactions,
              ProgressKeeper& progress, const Clock& clock, Random64 random, BatchOptions options, BatchHooks hooks);
  ~BatchEngine();

  // Works on messages of one lane: each is acknowledged, given back with a delay, or, when this throws, left in `messages`
  // for another call. Messages whose ack_wait ran out since they were received are dropped: they are being redelivered.
  //   origin  stream and incarnation of the lane; of the messages' origin in a replay lane
  void process(const BatchLane& lane, const Origin& origin, std::vector<Message>& messages);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cutover
