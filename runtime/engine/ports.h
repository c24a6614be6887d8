#pragma once

// What the engine needs from the outside. The broker's side lives in runtime/nats, the database's in runtime/postgres;
// tests wrap these to inject faults. One conformance suite runs on the real things and on every fake.

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/contract/clock.h"
#include "runtime/contract/transaction.h"

namespace cutover {

using Deadline = std::chrono::steady_clock::time_point;

struct Header {
  std::string_view name;
  std::string_view value;
};

// Bytes that a parser may read past the end of `Message::data`.
inline constexpr std::size_t kPayloadPadding = 64;

// One delivery. Owns its bytes: the views point into `memory` and stay valid while the object is moved.
struct Message {
  std::unique_ptr<char[]> memory;
  std::string_view subject;
  std::string_view reply;  // the broker's handle of this delivery, for ack and nak
  std::string_view data;   // followed by kPayloadPadding zero bytes
  std::vector<Header> headers;
  std::size_t lane = 0;  // index into the lanes that the source was made with
  std::uint64_t stream_sequence = 0;
  std::uint64_t deliveries = 1;  // 1 for the first
  Instant published_at;          // the broker's time of storing
  Deadline received_at;

  // The first value of a header, empty if absent. Case sensitive, as in NATS.
  std::string_view header(std::string_view name) const {
    for (const Header& h : headers)
      if (h.name == name) return h.value;
    return {};
  }
};

// What a lane's consumer is doing, for health, metrics and the decision to stop.
struct LaneState {
  enum class Condition {
    running,
    unreachable,  // no connection, or heartbeats missed; the source keeps trying
    stalled,      // the consumer reports pending messages but delivers nothing though pulled again
    missing,      // consumer or stream gone; reconciled if it can be, otherwise waits for `cutover streams apply`
    recreated,    // the stream is another one than at start-up: never goes on by itself
  };
  Condition condition = Condition::running;
  std::string detail;         // a sentence for an operator, empty while running
  std::uint64_t pending = 0;  // not yet delivered, as last reported
  std::uint64_t ack_pending = 0;
  std::uint64_t ack_floor = 0;  // stream sequence up to which everything of the lane is acknowledged, as last reported
};

// Durable consumers of one worker on one connection.
// Threads: `receive` from one thread; everything else from any.
class MessageSource {
 public:
  virtual ~MessageSource() = default;
  // Appends what has arrived, at most `max` messages; waits for the first one until `deadline` or stop.
  // Never throws for a broker that is away: that shows in `state`.
  virtual void receive(std::vector<Message>& out, std::size_t max, Deadline deadline, std::stop_token stop) = 0;
  // The engine has begun to work on (or dropped) `count` messages of this lane, so as many more may be pulled. What is
  // pulled and not released never exceeds the lane's prefetch.
  virtual void release(std::size_t lane, std::size_t count) = 0;
  // Stops and restarts pulling of a lane; what was asked for already may still arrive.
  virtual void pause(std::size_t lane, bool paused) = 0;
  // Hints to the broker: they may be lost, and the ledger makes a redelivery harmless.
  virtual void ack(std::string_view reply) = 0;
  virtual void nak(std::string_view reply, std::chrono::milliseconds delay) = 0;  // 0: redeliver at once
  virtual void in_progress(std::string_view reply) = 0;                           // restarts ack_wait
  // Waits until what was sent before has reached the broker. Returns false at the deadline.
  virtual bool flush(Deadline deadline) = 0;
  virtual LaneState state(std::size_t lane) const = 0;
};

// A message to publish.
struct Publication {
  std::string_view subject;
  std::string_view message_id;  // Nats-Msg-Id
  std::string_view payload;
  std::vector<Header> headers;  // without Nats-Msg-Id
};

// The broker's answer to one publication.
struct PublishAck {
  bool stored = false;
  bool duplicate = false;  // the broker had this message id already; `sequence` is that of the first
  std::string stream;
  std::uint64_t sequence = 0;
  std::string error;  // why it was not stored: "no stream covers subject x", "timeout", ...
};

// The life of a stream, by its creation time.
struct StreamLife {
  Instant created_at;
  std::uint64_t first_sequence = 0;
  std::uint64_t last_sequence = 0;
};

// Publishes with acknowledgement, and reads back what a stream holds. Threads: one at a time.
class Publisher {
 public:
  virtual ~Publisher() = default;
  // Sends all, in order, without waiting in between; then waits for every ack or the deadline. One answer each.
  virtual std::vector<PublishAck> publish(std::span<const Publication> messages, Deadline deadline) = 0;
  // The message id stored at each sequence; nullopt where the stream no longer holds it or it has none.
  // Throws BrokerError when the broker cannot answer.
  virtual std::vector<std::optional<std::string>> message_ids(const std::string& stream,
                                                              std::span<const std::uint64_t> sequences,
                                                              Deadline deadline) = 0;
  // Throws BrokerError; nullopt when there is no such stream.
  virtual std::optional<StreamLife> stream_life(const std::string& stream, Deadline deadline) = 0;
  // Grows by one with every reconnect.
  virtual std::uint64_t connection_epoch() const = 0;
};

// The broker cannot be reached or refuses; what() says what was tried, on which server, and what to do.
class BrokerError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// PostgreSQL is away, read-only after a failover, out of connections: nobody's fault, not an attempt.
class DependencyDown : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The transaction lost against another one (serialization, deadlock, lock or statement timeout): try it again whole.
class TransactionConflict : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// `claim` refuses the whole batch: unknown worker, another incarnation, wrong isolation level. Not to be retried
// without an operator.
class ClaimRefused : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// One event of a batch, as the ledger sees it.
struct ClaimItem {
  std::uint64_t sequence = 0;        // of the origin, for a replay
  std::string_view event_id;         // empty when it could not be read
  std::string_view key;              // Cutover-Key, else subject_id, else empty
  std::string_view tenant_scope;
  std::string_view idempotency_key;  // empty: takes no mark (malformed, not addressed)
  std::int64_t version = 0;          // of the subject; 0: unknown, the event has no place in an order
  std::int64_t replay_plan = 0;      // 0: not a replay
  std::int64_t shadow_period = 0;    // of what shadow sent: when
};

// What the ledger says about one event, for one of the two sets of tables.
enum class Claim : char {
  apply = 'a',      // ours, and marked
  skip = 's',       // the other side's
  duplicate = 'd',  // the key was applied before: settle as duplicate
  settled = '=',    // this place was settled before: only the ack was lost
  reused = 'u',     // ours and marked, but the sequence was settled with another event id: alert
  wait = 'w',       // ordered workers: an earlier version is missing; given back for a moment, no attempt
  gap = 'g',        // ordered workers: it stayed missing; marked, to become a dead letter
  none = '-',       // nothing to do here (shadow only)
};

struct Claims {
  std::vector<Claim> serving;  // one per item
  std::vector<Claim> shadow;
};

// How a place was settled.
enum class Settlement : char {
  applied = 'a',
  duplicate = 'd',
  not_addressed = 'n',
  dead_letter = 'x',
  released = 'r',  // not settled: a retry takes its mark back
  untouched = '-',
};

// A dead letter, as it is written.
struct DeadLetterRecord {
  const Message* message = nullptr;  // bytes and headers, untouched
  ClaimItem item;
  std::string_view event_name;  // empty when it could not be read
  std::string lane;
  std::string kind;   // malformed | unsupported_version | rejected | transient | crash_suspect | gap
  std::string error;  // for an operator, at most 2 KiB, no payload
  int attempts = 0;
  std::optional<Instant> first_failed_at;
};

// Which stream and life a batch stands in.
struct Origin {
  std::string stream;
  int incarnation = 0;
};

// What a worker sends from shadow: into stream SHADOW, for itself only, in the shadow period that a header names.
inline constexpr std::string_view kShadowStream = "SHADOW", kShadowPrefix = "shadow.", kShadowPeriodHeader = "Cutover-Shadow-Period";

// A row for the outbox: a whole message, ready to leave.
struct OutboxRow {
  std::string message_id;  // Nats-Msg-Id
  std::string event_id;    // of the envelope; empty for what is no event
  std::string subject;     // without kShadowPrefix
  std::string key;         // Cutover-Key
  std::string payload;
  std::vector<std::pair<std::string, std::string>> headers;  // traceparent and the like
  int priority = 5;
  std::optional<Instant> available_at;
  std::string timer_key;  // empty: cannot be cancelled
  std::string schedule;   // cron expression, empty: fires once
};

// The transaction of a batch. Statements are sent when something needs their result, or with the commit.
// Every call throws StatementError, TransactionConflict or DependencyDown; the transaction is dead then: destroy it.
class BatchTransaction {
 public:
  virtual ~BatchTransaction() = default;  // without commit: rolls back
  // Must come first. Items in ascending sequence, each sequence once; what they point to outlives the transaction.
  // Throws ClaimRefused.
  virtual Claims claim(const Origin& origin, std::span<const ClaimItem> items) = 0;
  // The same for what the worker itself sent from shadow: nothing of it is serving's.
  virtual Claims claim_shadow(const Origin& origin, std::span<const ClaimItem> items) = 0;
  // Which tables and ledger everything below means from now on: serving (false, at first) or shadow (true).
  virtual void use_shadow(bool shadow) = 0;
  virtual std::unique_ptr<Rows> query(std::string_view sql, std::initializer_list<Param> parameters) = 0;
  // Sent with what follows; fails there.
  virtual void execute(std::string_view sql, std::initializer_list<Param> parameters) = 0;
  virtual void enqueue(OutboxRow row) = 0;
  virtual void cancel_timer(std::string_view timer_key) = 0;
  // Writes how each item of the claim was settled; takes back the marks of `released`.
  virtual void settle(std::span<const Settlement> settlements) = 0;
  virtual void dead_letter(const DeadLetterRecord& letter) = 0;
  // Counts a failed attempt of one event of the claim; returns how many there are now.
  virtual int add_attempt(std::uint64_t sequence, std::string_view error) = 0;
  virtual void forget_attempts(std::span<const std::uint64_t> sequences) = 0;
  virtual void commit() = 0;
  virtual bool has_outgoing() const = 0;
};

// What earlier deliveries left behind about one event.
struct Past {
  std::uint64_t sequence = 0;
  bool shadow = false;
  int attempts = 0;
  int lone_crashes = 0;  // times a process died while this event was alone in its batch
  bool suspect = false;  // a process died while it worked on a batch with this event: try it alone
  std::optional<Instant> first_failed_at;
};

// Opens transactions for one thread of a worker; reconnects by itself. Not thread safe.
class TransactionSource {
 public:
  virtual ~TransactionSource() = default;
  // Throws DependencyDown.
  virtual std::unique_ptr<BatchTransaction> begin() = 0;
  // For batches with redelivered events: what is known about them; records the batch as started (in a transaction of
  // its own, removed by the commit of the batch's next transaction). Throws DependencyDown.
  virtual std::vector<Past> start_redelivered(const Origin& origin, std::span<const std::uint64_t> sequences,
                                              bool alone) = 0;
  // True when PostgreSQL answers and accepts writes.
  virtual bool probe() noexcept = 0;
};

// A row that waits to be published.
struct OutboxEntry {
  std::int64_t id = 0;
  std::string message_id;
  std::string subject;
  std::string key;
  std::string payload;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string schedule;
  std::string timer_key;
  std::optional<Instant> fired_at;  // of a timer: when it was due
  int priority = 5;
};

// Where a row went, or why it did not.
struct OutboxOutcome {
  std::int64_t id = 0;
  PublishAck ack;
};

// A published row that is still kept.
struct OutboxKept {
  std::int64_t id = 0;
  std::string message_id;
  std::string stream;
  std::uint64_t sequence = 0;
};

struct OutboxDepth {
  std::size_t waiting = 0;
  std::size_t timers = 0;
  std::chrono::milliseconds oldest{0};  // age of the oldest row that waits
};

// The relay's side of cutover.outbox. One thread. Every call throws StatementError, TransactionConflict or DependencyDown.
class OutboxStore {
 public:
  virtual ~OutboxStore() = default;
  // Begins a transaction, locks the key shards that no other relay works on, and takes rows that are due: by priority, with
  // a quarter for the oldest; all earlier rows of a taken row's key are taken too; in insert order. Empty: nothing began.
  //   halted  keys whose rows are left where they are
  virtual std::vector<OutboxEntry> take(std::size_t rows_max, std::span<const std::string_view> halted) = 0;
  // Records what became of the rows of `take`, arms timers anew, and commits.
  virtual void finish(std::span<const OutboxOutcome> outcomes, std::span<const OutboxRow> rearmed) = 0;
  virtual void abandon() noexcept = 0;  // rolls the transaction of `take` back
  // Published rows in the order of their publication, at most `rows_max`; only those older than `age`.
  //   after  0 begins; then the id of the last row of the page before
  virtual std::vector<OutboxKept> kept(std::int64_t after, std::size_t rows_max, std::chrono::milliseconds age) = 0;
  virtual void reopen(std::span<const std::int64_t> ids) = 0;  // to be published again, under the same message id
  virtual void remove(std::span<const std::int64_t> ids) = 0;
  virtual OutboxDepth depth() = 0;
  // Arms a timer unless one with its key waits already. Returns whether it did.
  virtual bool arm(const OutboxRow& row) = 0;
  // Sleeps until somebody notifies of new rows (NOTIFY cutover_outbox), interrupt, the deadline, or stop.
  virtual void wait(Deadline deadline, std::stop_token stop) = 0;
  // Ends a wait, the next one if none is under way. Any thread.
  virtual void interrupt() noexcept = 0;
};

}  // namespace cutover
