#include "runtime/cli/compare.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "runtime/cli/compare_folder.h"
#include "runtime/cli/ignore_file.h"
#include "runtime/cli/interrupt.h"
#include "runtime/cli/progress_bar.h"
#include "runtime/engine/ports.h"
#include "runtime/host/build_info.h"
#include "runtime/host/quantities.h"
#include "runtime/parity/marks.h"
#include "runtime/parity/verdict.h"
#include "runtime/postgres/parity_measures.h"
#include "runtime/postgres/parity_rows.h"
#include "runtime/postgres/parity_verdicts.h"

namespace cutover::cli {
namespace {

namespace fs = std::filesystem;
using parity::Class;
using parity::OutputResult;
using parity::Summary;
using std::chrono::steady_clock;

constexpr int kBins = 40;
constexpr std::size_t kGivenUpMax = 100'000;
constexpr const char* kEvents = "events";

struct Options {
  std::string worker;
  std::string since;
  std::string against = "shadow";
  std::string rerun;
  std::string out;
  std::string ignore;
  std::string settle = "2s";
  std::uint64_t stratum_samples_min = 30;
  double transient_max = 0.01;
};

[[noreturn]] void interrupted(const fs::path& folder) {
  throw CommandError(fmt::format("interrupted before the comparison was complete. Do: give the command again "
                                 "with --out {}; it goes on "
                                 "where it stopped.",
                                 folder.string()),
                     kInconclusive);
}

std::string now_text(const char* format) {
  const auto seconds = std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
  return fmt::format(fmt::runtime(format), fmt::gmtime(seconds));
}

// The moment that --since means, as PostgreSQL writes it. "2h" is that long ago.
std::string since_of(postgres::Session& session, const std::string& text) {
  if (text.empty()) return text;
  try {
    if (const auto span = parse_duration(text))
      return session
          .query("SELECT (now() - $1::bigint * interval '1 ms')::text", {std::to_string(span->count())})
          .rows[0][0]
          .value();
    return session.query("SELECT $1::timestamptz::text", {text}).rows[0][0].value();
  } catch (const StatementError&) {
    throw CommandError(fmt::format(
        "--since {} is no time. Do: write it as 2026-11-21T15:00:00Z, or as a span up to now, such as 2h",
        text));
  }
}

fs::path folder_of_report(postgres::Session& session, const Options& options) {
  if (fs::is_directory(options.rerun)) return options.rerun;
  const auto folder = postgres::report_folder(session, options.worker, options.rerun);
  if (!folder)
    throw CommandError(fmt::format(
        "--rerun {}: there is no report with that id, nor such a folder. Do: give the id that a report of {} "
        "begins with",
        options.rerun, options.worker));
  return *folder;
}

// One comparison, from the first look at the ledger to the stored verdict.
class Comparison {
 public:
  Comparison(const Settings& settings, const Options& options)
      : settings_(settings),
        options_(options),
        outputs_(settings.worker(options.worker).outputs),
        session_(settings.postgres.url, settings.postgres.password, "cutover compare"),
        ledger_(session_, options.worker) {
    if (outputs_.empty())
      throw CommandError(
          fmt::format("{} says nothing of its outputs. Do: fill WorkerSpec::outputs in", options.worker));
    session_.query("SET statement_timeout = '15min'");
    session_.query("SET jit = off");  // it costs more than most of these many statements
    since_ = since_of(session_, options.since);
    const auto settle = parse_duration(options.settle);
    if (!settle)
      throw CommandError(fmt::format("--settle {} is no duration. Do: write it as 2s", options.settle));
    settle_ = *settle;
    rules_ = read_ignore_file(options.ignore, outputs_);
    if (!options.rerun.empty()) rerun_ = folder_of_report(session_, options);
  }

  Summary run() {
    const auto began = steady_clock::now();
    const parity::Marks first = look();  // also finds out whether there is anything to compare
    ComparisonScope scope{options_.worker + "-" + now_text("{:%Y%m%dT%H%M%SZ}"),
                          options_.worker,
                          options_.against,
                          options_.since,
                          options_.rerun,
                          now_text("{:%Y-%m-%dT%H:%M:%SZ}")};
    const fs::path folder =
        options_.out.empty() ? fs::path("parity-reports") / scope.id : fs::path(options_.out);
    folder_.emplace(fs::absolute(folder), scope, outputs_,
                    [this](const parity::WalkState& state) { return show(state); });
    parity::Circumstances circumstances{ledger_.obstacles(), !since_.empty() || rerun_};
    for (std::size_t i = folder_->finished().size(); i < outputs_.size(); ++i) compare_output(i);
    Summary summary = collect(circumstances, first);
    summary.seconds = std::chrono::duration<double>(steady_clock::now() - began).count();
    conclude(summary, circumstances);
    return summary;
  }

  const fs::path& folder() const { return folder_->path(); }

 private:
  bool show(const parity::WalkState& state) {
    const cutover::Output& output = outputs_[folder_->finished().size()];
    bar_.show(output.name, static_cast<std::int64_t>(state.result.serving_rows + state.result.worker_rows),
              estimate_);
    return !interrupt_.came();
  }

  postgres::ParityRows rows_of(const cutover::Output& output) {
    return {session_, ledger_, output, options_.against,
            since_.empty() ? std::nullopt : std::optional(since_)};
  }

  // How far both sides are, work that is not finished included.
  parity::Marks look() {
    parity::Marks marks = ledger_.marks();
    for (const cutover::Output& output : outputs_)
      for (const auto& [stream, mark] : rows_of(output).marks())
        if (mark.common < marks[stream].common) marks[stream] = mark;
    return marks;
  }

  void compare_output(std::size_t index) {
    const cutover::Output& output = outputs_[index];
    postgres::ParityRows rows = rows_of(output);
    parity::IgnoreRules rules(rules_, output.name, now_text("{:%Y-%m-%d}"));
    parity::ComparisonOptions how;
    how.settle = settle_;
    parity::OutputComparison comparison(output, rows, *folder_, how);
    estimate_ = static_cast<std::int64_t>(rows.estimate());
    parity::WalkState state = folder_->state();
    if (rerun_) {
      state = {};
      comparison.look(keys_of_report(*rerun_, output), state);
    } else if (!state.done && !comparison.walk(state)) {
      interrupted(folder_->path());
    }
    folder_->begin_settle();
    bar_.show(fmt::format("reading {} again", output.name), 0, static_cast<std::int64_t>(state.suspects));
    if (!comparison.settle(state, rules, [this](auto time) { return interrupt_.wait(time); }))
      interrupted(folder_->path());
    folder_->finish_output(state.result);
  }

  void measure(OutputResult& result, const cutover::Output& output) {
    if (!output.measured.empty())
      result.statistics = postgres::read_statistics(session_, output, options_.against);
    if (!output.matrix.empty()) result.matrix = postgres::read_matrix(session_, output, options_.against);
    if (!output.distribution.expression.empty())
      result.histogram = postgres::read_histogram(session_, output, options_.against, kBins);
  }

  // Events that one side gave up on, and the other one not or for another reason.
  void compare_errors(Summary& summary) {
    parity::count_of(summary.errors, Class::equal) = ledger_.given_up_alike();
    for (const postgres::GivenUp& event : ledger_.given_up(kGivenUpMax)) {
      const bool one = event.serving_error.empty() || event.worker_error.empty();
      parity::Difference d{kEvents, {event.place}, one ? Class::error_on_one_side : Class::errors_differ, {},
                           {},      {event.place}, {}};
      const auto said = [](const std::string& error) {
        return parity::Value(error.empty() ? "succeeded" : error);
      };
      d.fields.push_back({event.subject, d.what, said(event.serving_error), said(event.worker_error), 1});
      ++parity::count_of(summary.errors, d.what);
      folder_->difference(d);
    }
  }

  // The versions by which the monolith's rows were computed, where they say it.
  std::string formulas() {
    for (const cutover::Output& output : outputs_)
      for (const OutputField& field : output.fields)
        if (field.name == "formula")
          return session_
              .query("SELECT string_agg(DISTINCT formula, ', ') FROM serving." +
                     postgres::quoted_name(output.table))
              .rows.at(0)
              .at(0)
              .value_or("");
    return {};
  }

  Summary collect(parity::Circumstances& circumstances, const parity::Marks& first) {
    Summary summary;
    const ComparisonScope& scope = folder_->scope();
    summary.id = scope.id;
    summary.worker = scope.worker;
    summary.against = scope.against;
    summary.since = since_;
    summary.rerun = scope.rerun;
    summary.at = scope.at;
    summary.build = build_info().version;
    summary.schema_version = ledger_.schema_version();
    summary.formula = formulas();
    summary.outputs = folder_->finished();
    if (!rerun_) {
      for (std::size_t i = 0; i < outputs_.size(); ++i) measure(summary.outputs[i], outputs_[i]);
      compare_errors(summary);
    }
    parity::Gathering gathering;
    folder_->for_each([&](const parity::Difference& d) { gathering.add(d); });
    summary.groups = gathering.groups();
    summary.worst = gathering.worst();
    summary.marks = look();
    auto still = parity::standing_still(first, summary.marks);
    for (int i = 0; i < parity::ComparisonOptions{}.settle_rounds && !still.empty(); ++i) {
      if (!interrupt_.wait(settle_)) interrupted(folder_->path());
      summary.marks = look();
      still = parity::standing_still(first, summary.marks);
    }
    circumstances.obstacles.insert(circumstances.obstacles.end(), still.begin(), still.end());
    for (const std::string& obstacle : ledger_.obstacles())
      if (std::find(circumstances.obstacles.begin(), circumstances.obstacles.end(), obstacle) ==
          circumstances.obstacles.end())
        circumstances.obstacles.push_back(obstacle);
    return summary;
  }

  void conclude(Summary& summary, const parity::Circumstances& circumstances) {
    parity::VerdictLimits limits;
    limits.samples_min = rerun_ ? 1 : settings_.ownership.parity_samples_min;
    limits.stratum_samples_min = options_.stratum_samples_min;
    limits.transient_max = rerun_ ? 1 : options_.transient_max;
    parity::judge(summary, outputs_, circumstances, limits);
    folder_->write("summary.json", parity::summary_json(summary));
    folder_->write("junit.xml", parity::junit_xml(summary));
    folder_->write("report.md", parity::markdown(summary));
    folder_->write("report.html", parity::html(summary, outputs_));
    if (!rerun_) store(summary);
    folder_->close();
  }

  void store(const Summary& summary) {
    Json detail = {
        {"id", summary.id},           {"report", folder_->path().string()},
        {"against", summary.against}, {"since", summary.since.empty() ? Json(nullptr) : Json(summary.since)},
        {"reasons", summary.reasons}, {"outputs", Json::array()}};
    for (const OutputResult& result : summary.outputs) {
      Json counts = Json::object();
      for (std::size_t i = 0; i < parity::kClasses; ++i)
        if (result.counts[i] > 0)
          counts[std::string(parity::to_text(static_cast<Class>(i)))] = result.counts[i];
      detail["outputs"].push_back({{"output", result.output},
                                   {"compared", result.compared()},
                                   {"counts", counts},
                                   {"strata", result.strata}});
    }
    postgres::store_verdict(session_,
                            {summary.worker, std::string(parity::to_text(summary.verdict)), summary.samples(),
                             summary.build, summary.formula, summary.schema_version,
                             detail.dump(-1, ' ', false, Json::error_handler_t::replace)});
  }

  const Settings& settings_;
  const Options& options_;
  const std::vector<cutover::Output> outputs_;
  Interrupt interrupt_;
  ProgressBar bar_;
  postgres::Session session_;
  postgres::ParityLedger ledger_;
  std::string since_;
  std::chrono::milliseconds settle_{};
  std::optional<fs::path> rerun_;
  std::vector<parity::IgnoreRule> rules_;
  std::optional<CompareFolder> folder_;
  std::int64_t estimate_ = 0;
};

void print(cli::Output& out, const Summary& s, const fs::path& folder);

int compare_command(const Shell& shell, const Options& options) {
  const Settings settings = shell.load_settings().values;
  Summary summary;
  fs::path folder;
  {
    Comparison comparison(settings, options);
    summary = comparison.run();
    folder = comparison.folder();
  }
  cli::Output out = shell.output();
  if (out.json())
    out.document(Json::parse(parity::summary_json(summary)));
  else
    print(out, summary, folder);
  constexpr int kExits[] = {kFine, kDifferent, kInconclusive};
  return kExits[static_cast<int>(summary.verdict)];
}

void print(cli::Output& out, const Summary& s, const fs::path& folder) {
  constexpr Tone kTones[] = {Tone::good, Tone::bad, Tone::warn};
  out.line(fmt::format("{}: {} of {} against {}, {} in {:.1f} s",
                       out.paint(parity::to_text(s.verdict), kTones[static_cast<int>(s.verdict)]),
                       counted(s.samples(), "sample"), s.worker, s.against,
                       counted(s.mismatches(), "difference"), s.seconds));
  for (const std::string& reason : s.reasons) out.line("  " + reason);
  std::vector<std::vector<Cell>> rows;
  for (const OutputResult& result : s.outputs)
    for (std::size_t i = 0; i < parity::kClasses; ++i)
      if (result.counts[i] > 0)
        rows.push_back({result.output,
                        Cell(std::string(parity::to_text(static_cast<Class>(i))),
                             parity::is_mismatch(static_cast<Class>(i)) ? Tone::bad : Tone::plain),
                        grouped(result.counts[i])});
  out.table({"output", "class", "rows"}, rows);
  rows.clear();
  for (const parity::Group& group : s.groups)
    if (parity::is_mismatch(group.what) && rows.size() < 20)
      rows.push_back({group.output, group.field.empty() ? "(row)" : group.field,
                      std::string(parity::to_text(group.what)), grouped(group.count),
                      fmt::format("{}", fmt::join(group.examples, ", "))});
  if (!rows.empty()) out.table({"output", "field", "class", "count", "for example"}, rows);
  out.line("report: " + (folder / "report.html").string());
}

}  // namespace

void add_compare(Shell& shell) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = shell.add(shell.app(), "compare",
                                "Compare what a worker computes into shadow with what the monolith wrote; "
                                "exit 1 when they differ, 2 when there is too little to say",
                                "cutover compare search-projector --out /tmp/parity",
                                [&shell, options] { return compare_command(shell, *options); });
  std::vector<std::string> names;
  for (const WorkerSpec& worker : shell.workers()) names.push_back(worker.name);
  command->add_option("worker", options->worker, "Its name")->required()->check(CLI::IsMember(names));
  command
      ->add_option("--since", options->since,
                   "Only rows that a side wrote since then (a time, or a span such as 2h), and keys that one "
                   "side alone has")
      ->type_name("T");
  command->add_option("--against", options->against, "The schema of the worker's rows; shadow unless told")
      ->type_name("SCHEMA");
  command
      ->add_option(
          "--rerun", options->rerun,
          "Look again at the differences of an earlier report only, by its id or folder; stores no verdict")
      ->type_name("ID");
  command
      ->add_option("--out", options->out,
                   "Folder of the report; parity-reports/ID unless told. One that holds an interrupted "
                   "comparison goes on")
      ->type_name("DIR");
  command->add_option("--ignore", options->ignore, "TOML file of differences that somebody answers for")
      ->type_name("FILE");
  command
      ->add_option("--settle", options->settle, "What differs is read again after this time; 2s unless told")
      ->type_name("TIME");
  command
      ->add_option("--stratum-samples-min", options->stratum_samples_min,
                   "Samples of each kind of row that a verdict rests on; 30 unless told")
      ->type_name("N");
  command
      ->add_option(
          "--transient-max", options->transient_max,
          "Highest share of rows that may differ at first and no longer when read again; 0.01 unless told")
      ->type_name("SHARE")
      ->check(CLI::Range(0.0, 1.0));
}

}  // namespace cutover::cli
