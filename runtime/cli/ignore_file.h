#pragma once

#include <string>
#include <vector>

#include "runtime/contract/output.h"
#include "runtime/parity/ignore_rules.h"

namespace cutover::cli {

// Reads the rules of a TOML file:
//   [[ignore]]
//   output = "search documents"   # of some worker
//   field = "job_title"
//   owner = "ann"
//   reason = "titles are trimmed by the worker only, decided on 2026-11-20"
//   expires = "2026-12-31"        # the last day, UTC
//   rate_max = 0.01               # share of the compared rows that it may hide
// Only those of these outputs are returned. Throws CommandError naming file, line and what is accepted: for a
// field or output that no rule may hide too.
std::vector<parity::IgnoreRule> read_ignore_file(const std::string& path,
                                                 const std::vector<cutover::Output>& outputs);

}  // namespace cutover::cli
