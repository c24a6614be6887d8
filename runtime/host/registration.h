#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/contract/clock.h"
#include "runtime/engine/ports.h"
#include "runtime/host/settings.h"
#include "runtime/observe/health.h"
#include "runtime/observe/metrics.h"
#include "runtime/postgres/connection.h"

namespace cutover {

class WorkerProcess;

// This process in the database: schema check, cutover.instances, and the advisory lock that tells other processes that it
// lives. Main thread only, but for `incarnation`. The settings outlive it.
class Registration {
 public:
  Registration(const Settings& settings, const std::string& instance, const BuildInfo& build,
               const std::vector<std::string>& workers, Health& health);
  // Connects and checks; throws StartError at the deadline, or at once for a schema that is too old.
  void start(Deadline deadline);
  // About once a second: keeps connection, lock, rows, readiness and gauges up to date.
  void beat(const std::vector<std::unique_ptr<WorkerProcess>>& workers);
  void stop() noexcept;
  // The incarnation of a stream that the broker created at `created_at`.
  // Throws StartError when the database knows another life of it.
  int incarnation(const std::string& stream, Instant created_at);

 private:
  void connect();
  void write_batches(const std::string& worker, const Histogram::Total& total);
  void write_row(const std::string& worker, bool ready, const std::string& detail);

  const Settings& settings_;
  const std::string instance_;
  const BuildInfo build_;
  const std::vector<std::string> workers_;
  Health& health_;
  postgres::Connection connection_;
  std::uint64_t locked_generation_ = 0;
  Deadline next_row_{};
  std::map<std::string, Histogram::Total> written_batches_;  // by worker
};

}  // namespace cutover
