#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/contract/transaction.h"

namespace cutover::dispute {

// What an operator may do with cases. Each function works in a transaction of its own; tables are those of `serving`.

struct CaseFilter {
  std::optional<int> lane;
  std::string state;  // empty: all that are not resolved
  std::int64_t limit = 50;
};
// A JSON array, the most urgent case first.
std::string list_cases(Transaction& tx, const CaseFilter& filter);
// Everything that is known about a case, as a JSON object; empty without one.
std::string show_case(Transaction& tx, std::int64_t case_id);

struct CaseCommand {
  enum class Verb { resolve, escalate, extend_hold, note };
  Verb verb = Verb::note;
  std::int64_t case_id = 0;
  std::string outcome;  // resolve: resolve | reject | dismiss
  std::string action;   // resolve: what is done for somebody, such as award_challenger; may be empty
  std::int64_t hours = 24;  // extend_hold
  std::string actor, reason;
};
struct CaseAnswer {
  bool done = false;
  std::string text;  // what was done, or why not: "what (where). Do: what"
};
// Does it, audited, unless the monolith owns the case's events or the case does not allow it.
CaseAnswer command_case(Transaction& tx, const CaseCommand& command);

}  // namespace cutover::dispute
