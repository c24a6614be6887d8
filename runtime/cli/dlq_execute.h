#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "runtime/cli/interrupt.h"
#include "runtime/cli/output.h"
#include "runtime/policy/redrive.h"
#include "runtime/postgres/replay_plans.h"

namespace cutover::cli {

struct ExecuteOptions {
  std::int64_t plan = 0;
  RedriveLimits limits;
  std::chrono::milliseconds patience{120'000};  // nothing settles for so long: it stops
  std::chrono::milliseconds publish_again_after{300'000};
  std::string actor, reason;
};

struct Executed {
  enum class End { done, failing, silent, interrupted };
  End end = End::done;
  Json progress;        // as cutover.replay_progress says at the end
  std::string because;  // of a stop
  std::optional<double> latency_before_ms, latency_now_ms;
};

// Executes a sealed plan to its end, or until it stops itself; goes on with a run that was cut off. What is
// in flight at a stop is awaited for ten seconds.
//   told  hears of each of the first steps when all of it has settled
// Throws StatementError (CU006, CU007) and DependencyDown; the plan can be executed again then.
Executed execute_plan(postgres::ReplayPlans& plans, const ExecuteOptions& options, Interrupt& interrupt,
                      const std::function<void(const std::string&)>& told);

}  // namespace cutover::cli
