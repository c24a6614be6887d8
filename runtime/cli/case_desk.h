#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "runtime/contract/transaction.h"

namespace cutover::cli {

struct CaseFilter {
  std::optional<int> lane;
  std::string state;  // empty: all that are not resolved
  std::int64_t limit = 50;
};

struct CaseCommand {
  enum class Verb { resolve, escalate, extend_hold, note };
  Verb verb = Verb::note;
  std::int64_t case_id = 0;
  std::string outcome, action;
  std::int64_t hours = 24;
  std::string actor, reason;
};

struct CaseAnswer {
  bool done = false;
  std::string text;  // what was done, or why not and what to do
};

// What an operator may do with cases. main.cpp fills this in from the worker's own functions, so that the commands
// know no worker. Each function works in a transaction of its own.
struct CaseDesk {
  std::string worker;
  std::function<std::string(Transaction&, const CaseFilter&)> list;     // a JSON array
  std::function<std::string(Transaction&, std::int64_t case_id)> show;  // a JSON object, empty without the case
  std::function<CaseAnswer(Transaction&, const CaseCommand&)> command;
};

}  // namespace cutover::cli
