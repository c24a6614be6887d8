#pragma once

#include <string>
#include <vector>

#include "runtime/cli/output.h"
#include "runtime/host/handover.h"
#include "runtime/policy/guards.h"

namespace cutover::cli {

// What a command that changes ownership did, would do, or refused to do.
struct StepReport {
  enum class Result { done, unchanged, would_do, refused, incomplete };
  std::string command;  // canary
  std::string worker;
  Result result = Result::refused;
  std::string before, after;       // stages
  std::vector<std::string> steps;  // in order; the same in a dry run
  std::vector<Guard> guards;
  std::vector<postgres::AppendedSegment> segments;
  std::vector<std::string> terminated;  // transactions that were ended
  double held_milliseconds = 0;         // how long batches had to wait
  Json more = Json::object();           // what only this command says: seized, seeded
  std::vector<std::string> warnings;
  std::vector<std::string> next;  // commands that make sense now
};

Json as_json(const StepReport& report);
// One JSON document, or tables for people. With colour where the output has it.
void print(Output& out, const StepReport& report);

// "order_of_stages, parity": the guards that stop.
std::string stopping(const std::vector<Guard>& guards);

}  // namespace cutover::cli
