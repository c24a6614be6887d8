#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace prometheus {
template <typename T>
class Family;
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace cutover {

// Handles of series that a Metrics owns: copy them freely, use them from any thread, add totals of a batch.
class Counter {
 public:
  explicit Counter(prometheus::Counter& series) : series_(&series) {}
  void add(double amount = 1) noexcept;  // ignores negative amounts
  double value() const noexcept;

 private:
  prometheus::Counter* series_;
};

class Gauge {
 public:
  explicit Gauge(prometheus::Gauge& series) : series_(&series) {}
  void set(double value) noexcept;
  void add(double amount) noexcept;
  double value() const noexcept;

 private:
  prometheus::Gauge* series_;
};

class Histogram {
 public:
  Histogram(prometheus::Histogram& series, std::span<const double> bounds)
      : series_(&series), bounds_(bounds) {}
  void observe(double value);
  // All of a batch under one lock.
  void observe_all(std::span<const double> values);
  struct Total {
    std::uint64_t count = 0;
    double sum = 0;
  };
  Total total() const;
  // How many values fell into each bucket so far; the last one is above all bounds.
  std::vector<std::uint64_t> counts() const;
  std::span<const double> bounds() const noexcept { return bounds_; }

 private:
  prometheus::Histogram* series_;
  std::span<const double> bounds_;  // upper bounds of the buckets, ascending
};

// One counter per failure kind; an unknown kind counts as `other`.
class DeadLetterCounters {
 public:
  static constexpr std::array<std::string_view, 7> kKinds = {
      "malformed", "unsupported_version", "rejected", "transient", "crash_suspect", "gap", "other"};
  explicit DeadLetterCounters(std::vector<Counter> by_kind) : by_kind_(std::move(by_kind)) {}
  void add(std::string_view kind, double amount = 1) noexcept;
  double value(std::string_view kind) const noexcept;

 private:
  std::vector<Counter> by_kind_;
};

// Open dead letters of a worker as the database has them: by kind, and the biggest groups. A group that is not among them any
// more loses its series.
class OpenLetterGauges {
 public:
  static constexpr std::size_t kGroupsMax = 10;
  OpenLetterGauges(std::vector<Gauge> by_kind, Gauge other_groups, prometheus::Family<prometheus::Gauge>& groups, std::string worker);
  ~OpenLetterGauges();
  OpenLetterGauges(OpenLetterGauges&&) noexcept;

  struct Group {
    std::string id;
    std::string kind;
    std::uint64_t count = 0;
  };
  // groups  all of them, in any order. One thread.
  void set(std::vector<Group> groups);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Labels: worker, lane.
struct LaneMetrics {
  Counter fetched;      // taken from the broker, redeliveries included
  Counter redelivered;  // of these, delivered before
  Counter applied;
  Counter duplicates;     // idempotency key or place was settled before
  Counter stale;          // dropped unworked: ack_wait ran out while they waited
  Counter not_owned;      // the other side's
  Counter not_addressed;  // an event name that the worker does not list
  Counter retried;        // given back with a delay
  Counter deferred;       // given back because an earlier version of their aggregate is missing
  Counter handed_back;    // given back at once at shutdown
  Counter reused_places;  // a settled sequence that arrived with another event id: alert
  Counter rolled_back;    // batches that threw
  DeadLetterCounters dead_lettered;
  Histogram batch_events;
  Histogram batch_seconds;              // begin to commit
  Histogram publish_to_commit_seconds;  // per event
  Histogram wait_seconds;               // received to begin of its batch, per batch the longest
  Gauge pending;                        // not yet delivered: the lag
  Gauge ack_pending;
  Gauge up;                // 1 while the consumer runs, 0 unreachable, stalled, missing or recreated
};

// Label: worker.
struct WorkerMetrics {
  Gauge pool_connections;
  Gauge pool_in_use;  // batches that are being worked on, each on a connection
  Gauge paused;       // 1 while a dependency is away
  OpenLetterGauges open_letters;
};

// Labels: worker, job. What a job of minutes is at.
struct JobMetrics {
  Gauge phase;  // 1 for the first; 0: nothing to do
  Gauge done;   // of this phase
  Gauge total;
  Gauge eta_seconds;  // to the end of this phase; -1: not known
  Counter failed;
  Histogram seconds;  // of each phase
};

struct OutboxMetrics {
  Gauge depth;           // rows ready to leave
  Gauge oldest_seconds;  // age of the oldest of them
  Gauge timers;          // rows with a time in the future
  Counter published;
  Counter duplicates;         // the broker had the message id already
  Counter republished;        // acked once, then lost by the broker
  Counter failed;             // publishes without an ack
  Gauge halted_keys;          // keys that wait behind a failed publish
  Histogram publish_seconds;  // claim to ack, per round
};

// Which label values exist. Everything else shares one series with the value `other`.
struct MetricBounds {
  struct WorkerLanes {
    std::string worker;
    std::vector<std::string> lanes;
    std::vector<std::string> jobs = {};
  };
  std::vector<WorkerLanes> workers;
};

struct BuildInfo {
  std::string version;
  std::string revision;
};

// Every metric of the process. All series exist from construction on, so a rate never starts with a gap.
// Lookups are for set-up: take the handles once per lane. Thread safe.
class Metrics {
 public:
  Metrics(const MetricBounds& bounds, const BuildInfo& build);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  LaneMetrics& lane(std::string_view worker, std::string_view lane);
  WorkerMetrics& worker(std::string_view worker);
  JobMetrics& job(std::string_view worker, std::string_view job);
  OutboxMetrics& outbox();

  // Prometheus text format 0.0.4.
  std::string text() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cutover
