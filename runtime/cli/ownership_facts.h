#pragma once

#include <string>
#include <vector>

#include "runtime/cli/jetstream.h"
#include "runtime/host/settings.h"
#include "runtime/policy/guards.h"
#include "runtime/postgres/connection.h"

namespace cutover::cli {

// The streams of a worker's lanes, sorted, each once.
std::vector<std::string> streams_of(const WorkerSpec& worker);

// What the settings say about guards.
GuardLimits limits_of(const Settings& settings);

// Asks database and broker for everything that a guard may want to know.
//   jetstream  null: the broker is away, and what it would say stays empty
//   throws     DependencyDown, StatementError; BrokerError when the broker goes away in the middle
GuardFacts read_facts(const Settings& settings, const std::string& worker, postgres::Connection& database,
                      JetStream* jetstream);

}  // namespace cutover::cli
