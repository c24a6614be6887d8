#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/contract/transaction.h"

namespace cutover::cli {

// What the commands show of batches of scores. main.cpp fills this in from the worker's own functions, so
// that the commands know no worker.

// A batch that waits, works or was the last to end.
struct RunStatus {
  std::string schema;  // serving | shadow
  std::int64_t run = 0;
  std::string state, phase, formula, as_of, error;
  bool official = true;
  std::int64_t requests = 0, attempt = 0, done = 0, total = 0;
  double seconds = 0;
  std::optional<double> eta_seconds = {};
};

// How the scores of one run are spread.
struct ScoreSpread {
  std::int64_t run = 0;
  std::string as_of, formula;
  std::uint64_t count = 0;
  double mean = 0, p10 = 0, median = 0, p90 = 0, least = 0, most = 0;
  std::vector<std::uint64_t> histogram;  // of equally wide bins from 0 to 100
};

// One run, perhaps against an earlier one.
struct ScoreReport {
  struct Moved {
    double points = 0;  // by more than these
    std::uint64_t principals = 0;
  };
  struct Component {
    std::string name;
    double mean_shift = 0, most_shift = 0;
  };
  ScoreSpread run;
  std::optional<ScoreSpread> against;
  std::uint64_t both = 0, appeared = 0, gone = 0;
  double mean_shift = 0, p10_shift = 0, median_shift = 0, p90_shift = 0;
  std::vector<Moved> moved;
  std::vector<Component> components;
};

// `report` and `activate` throw std::invalid_argument for a run or a formula version that there is not.
struct ScoreTools {
  std::string worker;
  std::function<std::vector<RunStatus>(Transaction&)> runs;
  // run      none: the current one
  // against  none: the run that it rides beside, else the one before it, if there is one
  std::function<ScoreReport(Transaction&, std::optional<std::int64_t> run,
                            std::optional<std::int64_t> against)>
      report;
  // Makes a candidate formula the active one.
  std::function<void(Transaction&, const std::string& formula, const std::string& reason)> activate;
};

// The report as one HTML page without anything from the network; the histograms of both runs are drawn over
// each other.
std::string score_report_html(const ScoreReport& report);

}  // namespace cutover::cli
