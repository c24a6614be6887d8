#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/contract/worker.h"
#include "runtime/host/settings.h"
#include "runtime/observe/metrics.h"

namespace cutover {

// The newest migration that this build needs; a newer schema is fine.
inline constexpr int kSchemaVersion = 11;

// Start-up cannot succeed: a server is missing, the schema too old, a stream not there. what() says what, where and what
// to do.
class StartError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct HostOptions {
  Settings settings;
  std::vector<std::string> workers;  // names from settings.workers; empty: only the relay
  bool relay = true;                 // publish the outbox from this process
  BuildInfo build;
  std::chrono::milliseconds start_timeout{10'000};  // how long servers may be away at start-up
};

// Runs workers until SIGTERM or SIGINT: registers this process, starts the relay, the lanes, chores and schedules, serves
// /livez, /readyz and /metrics, and drains at the end. A second signal ends the process at once; nothing is lost either
// way. Call it from the main thread, before any other thread is started.
//   returns  0 after a clean drain, 3 when the drain limit passed
//   throws   StartError, before anything was begun
int run_host(const HostOptions& options);

}  // namespace cutover
