#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/host/handover.h"
#include "runtime/host/settings.h"
#include "runtime/nats/connection.h"
#include "runtime/policy/stages.h"
#include "runtime/policy/watch.h"
#include "runtime/postgres/connection.h"

namespace cutover {

// Looks after a worker for a while after its switch, and hands its events back when it does badly. Made by
// `cutover watch` and by each process of the worker. One thread; the connections outlive it.
class Watch {
 public:
  // actor  who reverses, for the log
  Watch(const Settings& settings, const WorkerSpec& worker, postgres::Connection& database,
        Connection& broker, std::string actor);

  struct Look {
    Standing standing;
    bool watching = false;  // it owns events, and not for longer than ownership.stable
    std::vector<Finding> findings;
    std::string over;       // what is over its limit; empty: nothing
    bool reversed = false;  // by this look
  };
  // Looks once. With ownership.auto_reverse the third look in a row that finds something over its limit
  // reverses. Throws what hand_over throws.
  Look look(const postgres::Pause& pause);

 private:
  const Settings& settings_;
  const WorkerSpec& worker_;
  postgres::Connection& database_;
  Connection& broker_;
  const std::string actor_;
  int over_in_a_row_ = 0;
};

// The command that an operator would give.
std::string reverse_command(const std::string& worker, const std::string& why);

}  // namespace cutover
