#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/contract/worker.h"
#include "runtime/engine/batch_engine.h"
#include "runtime/engine/ports.h"
#include "runtime/observe/health.h"
#include "runtime/observe/metrics.h"

namespace cutover {

// A lane as the loop serves it.
struct ConsumerLane {
  LaneSpec spec;
  Origin origin;        // of its stream; unused for a replay lane
  bool replay = false;  // messages carry their origin in headers; capped
  bool twin = false;    // of a lane, on stream SHADOW; paused but while `serve_twins` says otherwise
};

// The lane that brings back what a worker in shadow sends to one of its own lanes: it runs behind all others.
LaneSpec twin_of(LaneSpec lane);

struct ConsumerOptions {
  BatchOptions batch;
  double replay_per_second = 100;
};

// The threads of one worker: a reader spreads messages over the worker's threads by key; each thread serves its lanes by
// priority, a batch at a time, with its own connection and its own Worker object, so that two threads never work on one
// key. Messages that wait here are bounded by the source's prefetch.
class ConsumerLoop {
 public:
  struct Parts {
    const WorkerSpec& spec;
    std::vector<ConsumerLane> lanes;  // same order as the source's
    MessageSource& source;
    std::function<std::unique_ptr<TransactionSource>(std::size_t thread)> transactions;
    const Clock& clock;
    std::function<Random64()> random;  // one source of random numbers for each thread
    Metrics& metrics;
    Health& health;
    std::function<void()> wrote_outgoing;
    ConsumerOptions options;
  };

  // Starts at once. Everything in `parts` outlives this.
  explicit ConsumerLoop(Parts parts);
  // Drains without a limit.
  ~ConsumerLoop();

  // Stops fetching, lets running batches finish, hands back what was not begun, and waits up to 5 s until acks are out.
  // Returns false when the deadline passed before the batches ended: then end the process, redelivery is safe.
  bool drain(Deadline deadline);
  // Whether twin lanes are read: while the worker is in shadow or canary. (What they deliver late does no harm: the claim
  // knows better.)
  void serve_twins(bool served);
  // Why the loop refuses to work (another incarnation, an unknown worker); empty while it works.
  std::string refusal() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cutover
