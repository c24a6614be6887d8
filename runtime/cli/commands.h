#pragma once

#include "runtime/cli/case_desk.h"
#include "runtime/cli/projection.h"
#include "runtime/cli/score_tools.h"
#include "runtime/cli/shadow_seed.h"
#include "runtime/cli/shell.h"

namespace cutover::cli {

// One function per command group; each adds its commands to the shell, which outlives them.
void add_run(Shell& shell);
void add_relay(Shell& shell);
void add_streams(Shell& shell);
void add_reindex(Shell& shell, const std::vector<Projection>& projections);  // both outlive them
void add_drift(Shell& shell, const std::vector<Projection>& projections);
void add_config(Shell& shell);
void add_version(Shell& shell);
void add_completion(Shell& shell);
void add_doctor(Shell& shell);
void add_status(Shell& shell, const ScoreTools& scores);  // outlives it
void add_trigger(Shell& shell);
void add_score(Shell& shell, const ScoreTools& scores);   // outlives it
void add_audit(Shell& shell);
void add_explain(Shell& shell);
void add_ownership_steps(Shell& shell, const std::vector<ShadowSeed>& seeds);  // both outlive them
void add_history(Shell& shell);
void add_watch(Shell& shell);
void add_incarnation(Shell& shell);
void add_cases(Shell& shell, const CaseDesk& desk);  // both outlive them
void add_dlq(Shell& shell);

}  // namespace cutover::cli
