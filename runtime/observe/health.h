#pragma once

#include <chrono>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "runtime/contract/clock.h"

namespace cutover {

class Health;

// The heart of one loop: the loop beats at least once per its limit. Ends with the loop: a loop that is
// destroyed is finished, not stuck. Must not outlive its Health. Thread safe.
class Heartbeat {
 public:
  ~Heartbeat();
  Heartbeat(Heartbeat&& other) noexcept;
  Heartbeat& operator=(Heartbeat&&) = delete;
  void beat();

 private:
  friend class Health;
  struct Loop;
  Heartbeat(Health& health, std::list<Loop>::iterator loop) : health_(&health), loop_(loop) {}
  Health* health_;
  std::list<Loop>::iterator loop_;
};

// Liveness (do the loops make progress) and readiness (can work be done) of the process. Nothing here waits:
// whoever probes a dependency writes the result down, and /readyz reads it. Thread safe.
class Health {
 public:
  // One line of /livez or /readyz.
  struct Line {
    std::string name;
    bool ok = false;
    std::string text;  // for an operator; says what is wrong and what to do
  };
  struct Report {
    bool ok = false;
    std::vector<Line> lines;
  };

  explicit Health(const Clock& clock);
  ~Health();
  Health(const Health&) = delete;
  Health& operator=(const Health&) = delete;

  // Registers a loop; `limit` is the longest time between two beats. Registering is the first beat.
  [[nodiscard]] Heartbeat add_loop(std::string name, std::chrono::milliseconds limit);

  // Registers a readiness check: not ready until the first result.
  //   valid_for   a result that is older counts as failed: the prober is stuck
  void add_check(std::string name, std::chrono::milliseconds valid_for);
  // Writes down the last result of a check. Throws std::out_of_range for a name that was not added.
  void set_check(const std::string& name, bool ok, std::string text);
  // While draining, /readyz fails whatever the checks say.
  void set_draining();

  Report live() const;
  Report ready() const;

 private:
  friend class Heartbeat;
  using Time = std::chrono::steady_clock::time_point;
  struct Check {
    std::string name;
    std::chrono::milliseconds valid_for;
    std::optional<Time> at;
    bool ok = false;
    std::string text;
  };

  const Clock& clock_;
  mutable std::mutex mutex_;
  std::list<Heartbeat::Loop> loops_;
  std::vector<Check> checks_;
  bool draining_ = false;
};

}  // namespace cutover
