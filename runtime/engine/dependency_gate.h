#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>

#include "runtime/contract/clock.h"

namespace cutover {

// Shut while PostgreSQL is away. The first thread that meets the failure probes, the others wait; all go on when a probe
// succeeds, at most `kProbeMax` after the database is back. Thread safe.
class DependencyGate {
 public:
  static constexpr std::chrono::milliseconds kProbeFirst{100};
  static constexpr std::chrono::milliseconds kProbeMax{1'000};

  // on_change  called with true when the gate shuts and with false when it opens, and with the cause
  explicit DependencyGate(std::function<void(bool shut, const std::string& cause)> on_change)
      : on_change_(std::move(on_change)) {}

  // Returns when a probe succeeded (true) or at stop (false). `beat` is called about once a second.
  bool wait_until_open(const std::string& cause, const std::function<bool()>& probe, const std::function<void()>& beat,
                       std::stop_token stop);
  bool shut() const;

 private:
  std::function<void(bool, const std::string&)> on_change_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  bool shut_ = false;
};

}  // namespace cutover
