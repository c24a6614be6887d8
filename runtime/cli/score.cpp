#include <fstream>
#include <memory>
#include <stdexcept>

#include <fmt/format.h>

#include "runtime/cli/commands.h"
#include "runtime/cli/operator_transactions.h"
#include "runtime/cli/score_tools.h"

namespace cutover::cli {
namespace {

struct ReportOptions {
  std::optional<std::int64_t> run, against;
  std::string html;
};

Json as_json(const ScoreSpread& s) {
  return {{"run", s.run},     {"as_of", s.as_of}, {"formula", s.formula},    {"principals", s.count},
          {"mean", s.mean},   {"p10", s.p10},     {"p50", s.median},         {"p90", s.p90},
          {"least", s.least}, {"most", s.most},   {"histogram", s.histogram}};
}

Json as_json(const ScoreReport& r) {
  Json document = {{"run", as_json(r.run)}, {"against", nullptr}};
  if (!r.against) return document;
  document["against"] = as_json(*r.against);
  document["both"] = r.both;
  document["new"] = r.appeared;
  document["gone"] = r.gone;
  document["shift"] = {
      {"mean", r.mean_shift}, {"p10", r.p10_shift}, {"p50", r.median_shift}, {"p90", r.p90_shift}};
  document["moved"] = Json::array();
  for (const auto& moved : r.moved)
    document["moved"].push_back({{"points", moved.points}, {"principals", moved.principals}});
  document["components"] = Json::array();
  for (const auto& c : r.components)
    document["components"].push_back(
        {{"component", c.name}, {"mean_shift", c.mean_shift}, {"largest_shift", c.most_shift}});
  return document;
}

// Ten points a line.
void print_histogram(Output& out, const ScoreSpread& spread) {
  const std::size_t bins = spread.histogram.size() / 10;
  for (std::size_t ten = 0; ten < 10 && bins > 0; ++ten) {
    std::uint64_t count = 0;
    for (std::size_t i = ten * bins; i < (ten + 1) * bins; ++i) count += spread.histogram[i];
    const double share =
        spread.count == 0 ? 0 : static_cast<double>(count) / static_cast<double>(spread.count);
    out.line(fmt::format("  {:3}-{:<3} {:>11} {:5.1f} % {}", ten * 10, ten * 10 + 10, grouped(count),
                         100 * share, std::string(static_cast<std::size_t>(50 * share), '#')));
  }
}

void print(Output& out, const ScoreReport& r) {
  std::vector<std::vector<Cell>> rows;
  const auto add = [&](const ScoreSpread& s) {
    rows.push_back({std::to_string(s.run), s.as_of, s.formula, grouped(s.count),
                    fmt::format("{:.2f}", s.mean), fmt::format("{:.2f}", s.p10),
                    fmt::format("{:.2f}", s.median), fmt::format("{:.2f}", s.p90)});
  };
  add(r.run);
  if (r.against) add(*r.against);
  out.table({"run", "as of", "formula", "principals", "mean", "p10", "median", "p90"}, rows);
  print_histogram(out, r.run);
  if (!r.against) return;
  out.line(fmt::format(
      "in both {}, new {}, gone {}; shift of the mean {:+.3f}, p10 {:+.3f}, median {:+.3f}, p90 {:+.3f}",
      grouped(r.both), grouped(r.appeared), grouped(r.gone), r.mean_shift, r.p10_shift, r.median_shift,
      r.p90_shift));
  std::string moved;
  for (const auto& m : r.moved)
    moved += fmt::format("{}{:.0f}: {}", moved.empty() ? "" : ", ", m.points, grouped(m.principals));
  out.line("moved by more points than " + moved);
  rows.clear();
  for (const auto& c : r.components)
    rows.push_back({c.name, fmt::format("{:+.4f}", c.mean_shift), fmt::format("{:+.4f}", c.most_shift)});
  out.table({"component", "mean shift", "largest shift"}, rows);
}

int run_report(const Shell& shell, const ScoreTools& tools, const ReportOptions& options) {
  const Settings settings = shell.load_settings().values;
  ScoreReport report;
  try {
    operator_transactions(settings, tools.worker, "score report")(
        [&](Transaction& tx) { report = tools.report(tx, options.run, options.against); });
  } catch (const std::invalid_argument& e) {
    throw CommandError(std::string(e.what()) + ". Do: `cutover status " + tools.worker + "` shows the runs.",
                       kInconclusive);
  }
  if (!options.html.empty()) {
    std::ofstream file(options.html);
    file << score_report_html(report);
    file.close();
    if (!file)
      throw CommandError("cannot write " + options.html + ". Do: name a file in a folder that exists.");
  }
  Output out = shell.output();
  if (out.json())
    out.document(as_json(report));
  else
    print(out, report);
  return kFine;
}

int run_activate(const Shell& shell, const ScoreTools& tools, const std::string& formula,
                 const std::string& reason) {
  const Settings settings = shell.load_settings().values;
  try {
    operator_transactions(settings, tools.worker,
                          "score activate")([&](Transaction& tx) { tools.activate(tx, formula, reason); });
  } catch (const std::invalid_argument& e) {
    throw CommandError(std::string(e.what()) + ". Do: serving.score_formulas lists the versions.",
                       kDifferent);
  }
  Output out = shell.output();
  if (out.json())
    out.document({{"formula", formula}, {"state", "active"}});
  else
    out.line("score formula " + formula +
             " is active; a batch was asked for. It is looked at after 1, 6, 24, 48 and 72 hours.");
  return kFine;
}

}  // namespace

void add_score(Shell& shell, const ScoreTools& tools) {
  CLI::App* group =
      shell.add_group("score", "Scores: what a batch computed, and formula versions", "cutover score report");
  const auto report = std::make_shared<ReportOptions>();
  CLI::App* command = shell.add(
      *group, "report", "Show how the scores of a run are spread, and how they moved against another run",
      "cutover score report --run 12 --against 11 --html scores.html",
      [&shell, &tools, report] { return run_report(shell, tools, *report); });
  command->add_option("--run", report->run, "Its number; the current run unless told")->type_name("RUN");
  command->add_option("--against", report->against, "The run to compare with; unless told the one before it")
      ->type_name("RUN");
  command->add_option("--html", report->html, "Write the report to this file too, with both histograms")
      ->type_name("FILE");

  struct Activation {
    std::string formula, reason;
  };
  const auto activation = std::make_shared<Activation>();
  CLI::App* activate = shell.add(
      *group, "activate",
      "Make a candidate formula the active one; it goes back by itself when scores move too far",
      "cutover score activate v1.1 --reason \"candidate report is fine\"", [&shell, &tools, activation] {
        return run_activate(shell, tools, activation->formula, activation->reason);
      });
  activate->add_option("formula", activation->formula, "Its version")->required();
  activate->add_option("--reason", activation->reason, "Why; it is kept with the version")->required();
}

}  // namespace cutover::cli
