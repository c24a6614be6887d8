#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/policy/stages.h"

namespace cutover {

// What must hold before ownership changes: facts in, verdicts out. No clock, no server.

// How much a guard asks for.
struct GuardLimits {
  std::chrono::seconds stable{
      std::chrono::hours(72)};  // of the worker before this one, and before `complete`
  std::chrono::seconds parity_age_max{std::chrono::hours(24)};
  std::uint64_t parity_samples_min = 1'000;
  std::chrono::milliseconds drain_max{10'000};  // what is left, at the worker's pace
  std::uint64_t outbox_waiting_max = 1'000;
  std::chrono::seconds gate_age_max{60};
  std::vector<std::string> order;  // workers, first one first; others wait for nobody
};

struct InstanceFact {
  std::string instance;
  std::string build;
  bool alive = false;
  bool ready = false;
  std::chrono::seconds seen_ago{0};
  std::string vectors;  // hash of its test vectors, of the monolith's instances; empty where it says none
};

struct ParityFact {
  std::string verdict;  // ok | different | inconclusive
  std::chrono::seconds age{0};
  std::uint64_t samples = 0;
  std::string build;
  int schema_version = 0;
};

struct StreamFact {
  std::string stream;
  enum class Life {
    same,       // as the ledger knows it, or new to the ledger
    recreated,  // deleted and made anew
    missing,
  } life = Life::same;
};

// What is known at the moment of asking. What could not be asked stays empty, and the guard that needs it
// refuses.
struct GuardFacts {
  std::string worker;
  std::string build;      // of this program
  int schema_needed = 0;  // by this program
  std::string vectors;    // hash of this program's test vectors
  Instant now{};
  Standing standing;
  std::vector<std::pair<std::string, Standing>> others;  // other workers that exist
  std::vector<InstanceFact> instances;                   // of the worker
  std::vector<InstanceFact> gates;                       // the monolith's, for this worker
  std::optional<ParityFact> parity;                      // the newest verdict
  std::uint64_t pending = 0;                             // events that the worker has not settled
  std::optional<double> drain_seconds;                   // none: not known
  std::uint64_t dead_letters = 0;                        // open and replaying ones
  std::uint64_t outbox_waiting = 0;
  std::chrono::seconds outbox_oldest{0};
  std::optional<std::string> topology_difference;  // empty text: none; nullopt: not known
  int schema_version = 0;
  std::vector<StreamFact> streams;
  std::optional<std::uint64_t> monolith_unsettled;  // for `complete`: what it owns and has not settled
};

struct Guard {
  std::string name;
  bool passed = false;
  bool forceable = true;
  bool forced = false;
  std::string text;        // what was found
  std::string what_to_do;  // empty when it passed

  bool stops() const { return !passed && !forced; }
};

// Every guard of a step, in the order in which an operator would look. `reverse` has only those that speak of
// its sense: neither parity nor lag ever stops it.
std::vector<Guard> guards_of(Step step, const GuardFacts& facts, const GuardLimits& limits);

// The names that exist, and whether one may be forced.
std::span<const std::string_view> guard_names() noexcept;
bool is_forceable(std::string_view guard) noexcept;

// Overrides guards by name: marks those that failed as forced. Guards that cannot be forced stay as they are.
//   returns  the names that did override something
std::vector<std::string> force(std::vector<Guard>& guards, std::span<const std::string> names);

}  // namespace cutover
