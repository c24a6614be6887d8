#pragma once

#include <functional>
#include <memory>

#include "runtime/engine/ports.h"
#include "runtime/observe/health.h"
#include "runtime/observe/metrics.h"
#include "runtime/observe/trace.h"

namespace cutover {

struct RelayOptions {
  std::size_t batch_max = 256;
  std::chrono::milliseconds poll_interval{1'000};  // when nobody wakes it
  std::chrono::milliseconds keep{600'000};         // published rows stay so long
  std::chrono::milliseconds publish_timeout{5'000};
};

// Publishes the rows of cutover.outbox and keeps watch over what was published: the broker can lose acked messages when it
// loses power, so that after every reconnect, and before a row is deleted, the message id at its sequence is compared, and
// what is no longer there is published again. One thread of its own; several relays share the work by key shards.
class OutboxRelay {
 public:
  // Starts at once. Everything outlives this.
  OutboxRelay(OutboxStore& store, Publisher& publisher, const Clock& clock, Random64 random, OutboxMetrics& metrics,
              Health& health, RelayOptions options);
  // Finishes the round at hand.
  ~OutboxRelay();

  // Rows were committed by this process: look now. Any thread; cheap.
  void wake();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The row of a schedule's next firing: the same event with a new id, time and idempotency key.
//   fired   the row that fired; its schedule says when next
//   throws  std::invalid_argument when the payload is no envelope or the cron line is wrong
OutboxRow next_firing(const OutboxEntry& fired, Instant now, const std::function<std::string()>& new_event_id);

// How a firing's idempotency key ends: `:20261120T0200Z`, for a daily one `:2026-11-20`.
std::string firing_suffix(Instant at, bool daily);

}  // namespace cutover
