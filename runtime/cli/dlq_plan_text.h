#pragma once

#include <string>

#include "runtime/cli/output.h"

namespace cutover::cli {

// A plan of replays for people; the documents are those of postgres::ReplayPlans.
void print_plan(Output& out, const Json& plan, const Json& groups, const Json& progress);

// "990 replayed, 10 already applied"; the names as operators know them.
std::string outcome_words(const Json& outcomes);

// "needed for disputes", "by anna (login anna)", "-".
std::string approval_words(const Json& plan);

}  // namespace cutover::cli
