#pragma once

#include <chrono>
#include <map>
#include <string>

#include "runtime/cli/interrupt.h"
#include "runtime/cli/jetstream.h"
#include "runtime/cli/shadow_seed.h"
#include "runtime/host/settings.h"
#include "runtime/postgres/connection.h"

namespace cutover::cli {

// The last sequence of each stream before something changed.
using Boundary = std::map<std::string, std::uint64_t>;

// Waits until the monolith has settled all that it owns up to a boundary.
//   returns  how many events it still has not settled, 0 when it is through; else time was over, or somebody
//   interrupted
std::uint64_t wait_for_monolith(const WorkerSpec& worker, const Boundary& boundary,
                                postgres::Connection& database, JetStream& jetstream, Interrupt& interrupt,
                                std::chrono::milliseconds limit);

struct Seeding {
  bool complete = false;
  std::uint64_t unsettled = 0;  // events of the monolith that were waited for in vain
  std::int64_t copied = 0;
  std::int64_t swept = 0;
};

// Fills the shadow tables of a worker that is in shadow from `boundary` on; see ShadowSeed.
Seeding seed_shadow(const Settings& settings, const ShadowSeed& seed, const Boundary& boundary,
                    postgres::Connection& database, JetStream& jetstream, Interrupt& interrupt,
                    std::chrono::milliseconds limit);

// Empties them.
void clear_shadow(const Settings& settings, const ShadowSeed& seed);

}  // namespace cutover::cli
