#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "runtime/engine/consumer_loop.h"
#include "runtime/engine/outbox_relay.h"
#include "runtime/host/settings.h"
#include "runtime/nats/connection.h"
#include "runtime/nats/publisher.h"
#include "runtime/nats/pull_source.h"
#include "runtime/observe/recent_quantile.h"
#include "runtime/postgres/outbox_store.h"

namespace cutover {

class Registration;

// The relay of this process, with connections of its own; or, when it has none, just the store that arms
// schedules.
class RelayProcess {
 public:
  RelayProcess(const Settings& settings, const std::string& instance, const Clock& clock, Metrics& metrics,
               Health& health, bool enabled);
  ~RelayProcess();
  // Throws StartError when the broker is not reached by the deadline.
  void start(Deadline deadline);
  void stop();
  void wake();
  bool enabled() const { return enabled_; }

 private:
  const Settings& settings_;
  const Clock& clock_;
  Metrics& metrics_;
  Health& health_;
  bool enabled_;
  Connection connection_;
  NatsPublisher publisher_;
  postgres::PgOutboxStore store_;
  std::unique_ptr<OutboxRelay> relay_;
};

// One worker of this process: its consumers, threads, chores and schedules.
class WorkerProcess {
 public:
  struct Parts {
    const Settings& settings;
    const WorkerSpec& spec;
    const std::string& instance;
    const BuildInfo& build;
    const Clock& clock;
    Metrics& metrics;
    Health& health;
    RelayProcess& relay;
    Registration& registration;
  };
  struct Report {
    std::string broker_trouble;  // empty: connected
    std::string lane_trouble;    // empty: every lane runs
    std::string refusal;         // empty: the claim is not refused
    std::string detail;          // JSON for cutover.instances
    Histogram::Total batches;   // of the lanes, since the start: begin to commit, in seconds
    std::vector<Origin> without_backlog;
    // First sequence that may not be acknowledged yet, of what is in the stream; the largest integer for
    // none.
    std::vector<std::pair<Origin, std::int64_t>> settled_below;
  };

  explicit WorkerProcess(Parts parts);
  ~WorkerProcess();
  // Throws StartError: streams missing, another incarnation, consumers that cannot be made.
  void start(Deadline deadline);
  bool drain(Deadline deadline);
  Report report();
  // Whether the worker is in shadow or canary: then it reads what it sends from there.
  void set_shadow(bool shadow);
  const std::string& name() const { return parts_.spec.name; }

 private:
  Instant stream_created(const std::string& stream, Deadline deadline);
  void arm_schedules();
  void run_chore(const Chore& chore, std::stop_token stop);
  void run_job(const Job& job, std::stop_token stop);
  void run_upkeep(std::stop_token stop);
  void run_watch(std::stop_token stop);

  Parts parts_;
  Connection connection_;
  std::vector<ConsumerLane> lanes_;
  bool shadow_ = false;
  std::vector<RecentQuantile> recent_;  // latency by lane, for report
  std::unique_ptr<PullSource> source_;
  std::unique_ptr<ConsumerLoop> loop_;
  std::vector<std::jthread> chores_;
};

}  // namespace cutover
