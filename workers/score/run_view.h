#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/contract/transaction.h"
#include "workers/score/domain/distribution.h"

namespace cutover::score {

// A run as an operator is shown it.
struct RunView {
  std::string schema;  // serving | shadow
  std::int64_t run = 0;
  std::string state, phase, formula, as_of, error;
  bool official = true;
  std::int64_t requests = 0, attempt = 0, done = 0, total = 0;
  double seconds = 0;                      // since it was begun, or that it took
  std::optional<double> eta_seconds = {};  // of a run that works
};

// Runs that wait or work, and the last one that ended, of either side; serving first.
std::vector<RunView> runs_to_show(Transaction& tx);

// One run with its results.
struct ReportedRun {
  std::int64_t run = 0;
  std::string as_of, formula;
  std::vector<Scored> scores;  // ascending by principal
};
// A published run of serving: this one, or the current one. Throws std::invalid_argument when there is no
// such run.
ReportedRun reported_run(Transaction& tx, std::optional<std::int64_t> run);
// What a run is compared with unless told: the run that it rides beside, else the one that was current before
// it.
std::optional<std::int64_t> natural_opponent(Transaction& tx, std::int64_t run);

}  // namespace cutover::score
