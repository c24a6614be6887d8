#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "runtime/contract/bulk.h"
#include "runtime/contract/event.h"
#include "runtime/contract/output.h"
#include "runtime/contract/transaction.h"

namespace cutover {

// What becomes of one event.
struct Done {};
struct RetryAfter {
  std::chrono::milliseconds delay;  // at least; counts as an attempt
};
struct DeadLetter {
  std::string reason;  // for an operator; no payload
};
using Verdict = std::variant<Done, RetryAfter, DeadLetter>;

// Turns a batch of events into rows and outgoing events. The lane owns it and calls it from one thread, so it needs no
// locks.
class Worker {
 public:
  virtual ~Worker() = default;
  // events   1..batch_max, stream order, duplicates and the other side's share already removed
  // tx       commits together with the ledger and the outbox; acks follow
  // returns  one Verdict per event, same order; only Done events may have written rows
  // throws   when a dependency fails: tx rolls back, the engine retries, and splits a batch that keeps failing
  virtual std::vector<Verdict> handle(std::span<const Event> events, Transaction& tx) = 0;
};

// One durable consumer with a priority, feeding a worker.
struct LaneSpec {
  std::string name;            // [a-z0-9_]+; the durable is called <worker>-<name>
  std::string stream;          // CORE
  std::string filter_subject;  // contact.>
  int priority = 5;            // 0 first, 9 last
  std::size_t batch_max = 512;
  std::chrono::milliseconds ack_wait{30'000};
  std::size_t max_ack_pending = 10'000;
  std::chrono::milliseconds max_wait{5'000};  // a lane with waiting events is served at least this often
};

// One event that a worker reads, and the versions of it that it understands.
struct EventType {
  std::string name;
  int version_min = 1;
  int version_max = 1;
};

// Work that a worker does beside its lanes: durable jobs, upkeep. Called from a thread of its own about every
// `interval`, with a transaction of its own that commits when it returns.
struct Chore {
  std::string name;
  std::chrono::milliseconds interval;
  // returns  true when there is more to do at once
  std::function<bool(Transaction&)> run;
  bool shadow = false;  // works in schema shadow: what batches left there
};

// How far a job is; for the log, the metrics and whoever asks.
struct JobProgress {
  std::string_view phase;
  std::size_t phase_number = 0;  // 1 for the first
  std::uint64_t done = 0;
  std::uint64_t total = 0;  // 0: not known
};

// What a job may use. Calls throw what a batch's transaction throws. Any thread may ask `stopping`; the rest is the job's.
class JobContext {
 public:
  virtual ~JobContext() = default;
  // Runs `work` in a transaction of its own and commits it; what it throws rolls back and is thrown on.
  //   shadow  unqualified tables are those of `shadow`, and events go to shadow's streams
  virtual void in_transaction(bool shadow, const std::function<void(Transaction&)>& work) = 0;
  virtual std::unique_ptr<BulkSession> open_bulk(bool shadow) = 0;
  virtual void report(const JobProgress& progress) = 0;
  virtual void log(const std::string& what, const std::string& detail) = 0;
  virtual bool stopping() const = 0;  // the process ends: leave as soon as it does no harm
  virtual Instant now() const = 0;
  virtual std::string_view instance() const = 0;  // of this process, unique
};

// Work of minutes that a worker does beside its lanes and outside of their transactions. Called from a thread of its own about
// every `interval`; a job that throws is called again a second later.
struct Job {
  std::string name;
  std::chrono::milliseconds interval;
  std::size_t connections;  // that it holds at once at most, with the one of its transactions
  // returns  true when there is more to do at once
  std::function<bool(JobContext&)> run;
};

// A durable timer that re-arms itself: publishes `outgoing` at each time of `cron` (UTC, five fields).
struct Schedule {
  std::string name;
  std::string cron;
  Outgoing outgoing;  // its idempotency key gets `:<scheduled time>` appended
  bool daily = false;  // fires once a day at most: the key gets `:<date>`, as 2026-01-31
};

// A figure of what a worker makes, which the watch after a switch compares with what it was before.
struct OutputFigure {
  std::string name;  // score_distribution
  std::string what;  // mean score
  // One row with a double precision, or none: the newest figure of the time after $1 and up to $2 (timestamptz). Full table names.
  std::string sql;
  double change_max;  // either way
};

// Everything that the runtime must know about a worker.
struct WorkerSpec {
  std::string name;  // search-projector
  std::vector<LaneSpec> lanes;
  std::vector<EventType> events;
  std::size_t concurrency = 1;  // threads; events are spread over them by key
  // The events of one key are applied in order of `Subject::version`, which then grows by exactly one, whoever applied the
  // earlier ones; what comes too early waits.
  bool ordered = false;
  // Somebody else works on its events today: until an operator decides otherwise they are the monolith's. A worker that
  // leaves none owns its events from its first start on. What its first registration said holds.
  bool leaves_monolith = false;
  // Called once per thread.
  std::function<std::unique_ptr<Worker>()> make;
  std::vector<Chore> chores;
  std::vector<Schedule> schedules;
  std::vector<Output> outputs;  // what `cutover compare` compares with the monolith's
  std::vector<OutputFigure> figures;
  std::vector<Job> jobs;
};

}  // namespace cutover
