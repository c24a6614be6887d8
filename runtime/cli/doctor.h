#pragma once

#include <string>
#include <vector>

#include "runtime/host/settings.h"

namespace cutover::cli {

// One line of `cutover doctor`.
struct Check {
  enum class State { ok, warn, fail, skipped };
  std::string name;
  State state = State::ok;
  std::string found;       // what is there, or why it is not
  std::string what_to_do;  // empty when ok
};

// Each looks only, and reports what it could not look at instead of throwing.
std::vector<Check> check_postgres(const Settings& settings);  // server, schema, permissions, indexes, clock
std::vector<Check> check_broker(const Settings& settings);    // servers, login, JetStream, topology, clock
std::vector<Check> check_machine(const Settings& settings);   // the operations port

// What a difference between two clocks means; `theirs` names the other clock.
Check clock_check(const std::string& name, const std::string& theirs, std::chrono::microseconds ahead);

}  // namespace cutover::cli
