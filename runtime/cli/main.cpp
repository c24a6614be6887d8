#include <memory>

#include "runtime/cli/commands.h"
#include "runtime/cli/compare.h"
#include "workers/dispute/dispute_worker.h"
#include "workers/dispute/operator_desk.h"
#include "workers/dispute/shadow_seed.h"
#include "workers/score/formula_watch.h"
#include "workers/score/run_view.h"
#include "workers/score/score_worker.h"
#include "workers/score/shadow_seed.h"
#include "workers/search/drift.h"
#include "workers/search/reindex.h"
#include "workers/search/search_worker.h"
#include "workers/search/shadow_seed.h"

// The one place that names the workers.

namespace cutover {
namespace {

using SearchSettings = std::shared_ptr<search::SearchSettings>;

// The two sides list their outcomes in one order.
static_assert(static_cast<int>(search::DriftVerdict::inconclusive) ==
              static_cast<int>(cli::DriftResult::Verdict::inconclusive));
static_assert(static_cast<int>(search::ReindexOutcome::interrupted) ==
              static_cast<int>(cli::ReindexResult::Outcome::interrupted));

cli::DriftResult to_result(const search::DriftReport& report) {
  return {.verdict = static_cast<cli::DriftResult::Verdict>(report.verdict),
          .mode = report.mode,
          .checked = report.checked,
          .missing = report.missing,
          .extra = report.extra,
          .different = report.different,
          .in_flight = report.in_flight,
          .percent = report.percent,
          .examples = report.examples};
}

cli::ReindexProgress to_progress(const search::ReindexProgress& progress) {
  return {progress.run_id,   progress.resumed,  progress.phase,  progress.seen,
          progress.expected, progress.upserted, progress.deleted};
}

cli::Projection search_projection(const SearchSettings& settings) {
  cli::Projection projection;
  projection.worker = "search-projector";
  projection.drift = [settings](const auto& in_transaction, const auto& request, const auto& wait,
                                const auto& progress) {
    search::DriftOptions options;
    options.full = request.full;
    options.sample = request.sample;
    options.owner = request.owner;
    options.seed = request.seed;
    options.chunk_documents = settings->chunk_documents;
    return to_result(search::drift(in_transaction, options, wait, progress));
  };
  projection.reindex = [settings](const auto& in_transaction, const auto& request, const auto& progress,
                                  const auto& wait) {
    search::ReindexOptions options;
    options.owner = request.owner;
    options.restart = request.restart;
    options.chunk_documents = settings->chunk_documents;
    options.drift.chunk_documents = settings->chunk_documents;
    const auto report = search::reindex(
        in_transaction, options, [&](const search::ReindexProgress& p) { return progress(to_progress(p)); },
        wait);
    cli::ReindexResult result;
    result.outcome = static_cast<cli::ReindexResult::Outcome>(report.outcome);
    result.progress = to_progress(report.progress);
    if (report.drift) result.drift = to_result(*report.drift);
    return result;
  };
  return projection;
}

cli::ShadowSeed search_seed(const SearchSettings& settings) {
  const auto chunk_of = [](const search::SeedChunk& chunk) { return cli::ShadowSeed::Chunk{chunk.rows, chunk.next}; };
  cli::ShadowSeed seed;
  seed.worker = "search-projector";
  seed.clear = [](Transaction& tx) { search::clear_shadow(tx); };
  seed.copy = [settings, chunk_of](Transaction& tx, const std::string& after) {
    return chunk_of(search::copy_to_shadow(tx, after, settings->chunk_documents));
  };
  seed.sweep = [settings, chunk_of](Transaction& tx, const std::string& after) {
    return chunk_of(search::sweep_shadow(tx, after, settings->chunk_documents));
  };
  return seed;
}

constexpr std::uint64_t kSeedCases = 1'000;  // of one transaction

cli::ShadowSeed dispute_seed() {
  cli::ShadowSeed seed;
  seed.worker = "dispute-processor";
  seed.clear = [](Transaction& tx) { dispute::clear_shadow(tx); };
  seed.copy = [](Transaction& tx, const std::string& after) {
    const dispute::SeedChunk chunk = dispute::copy_to_shadow(tx, after, kSeedCases);
    return cli::ShadowSeed::Chunk{chunk.rows, chunk.next};
  };
  // Cases are never removed.
  seed.sweep = [](Transaction&, const std::string&) { return cli::ShadowSeed::Chunk{}; };
  return seed;
}

cli::ShadowSeed score_seed() {
  constexpr std::int64_t kRows = 5'000;
  cli::ShadowSeed seed;
  seed.worker = "score-orchestrator";
  seed.clear = [](Transaction& tx) { score::clear_shadow(tx); };
  seed.copy = [](Transaction& tx, const std::string& after) {
    const score::SeedChunk chunk = score::copy_to_shadow(tx, after, kRows);
    return cli::ShadowSeed::Chunk{chunk.rows, chunk.next};
  };
  // Nothing to remove: a run in shadow supersedes all copies at once.
  seed.sweep = [](Transaction&, const std::string&) { return cli::ShadowSeed::Chunk{}; };
  return seed;
}

static_assert(static_cast<int>(dispute::CaseCommand::Verb::note) == static_cast<int>(cli::CaseCommand::Verb::note));

cli::CaseDesk case_desk() {
  cli::CaseDesk desk;
  desk.worker = "dispute-processor";
  desk.list = [](Transaction& tx, const cli::CaseFilter& filter) {
    return dispute::list_cases(tx, {filter.lane, filter.state, filter.limit});
  };
  desk.show = [](Transaction& tx, std::int64_t case_id) { return dispute::show_case(tx, case_id); };
  desk.command = [](Transaction& tx, const cli::CaseCommand& command) {
    const dispute::CaseAnswer answer =
        dispute::command_case(tx, {static_cast<dispute::CaseCommand::Verb>(command.verb), command.case_id, command.outcome,
                                   command.action, command.hours, command.actor, command.reason});
    return cli::CaseAnswer{answer.done, answer.text};
  };
  return desk;
}

cli::ScoreSpread to_spread(const score::ReportedRun& run, const score::Distribution& d) {
  return {run.run,  run.as_of, run.formula, d.count, d.mean, d.p10, d.median, d.p90, d.least, d.most, {d.histogram.begin(), d.histogram.end()}};
}

cli::ScoreReport score_report(Transaction& tx, std::optional<std::int64_t> run, std::optional<std::int64_t> against) {
  const score::ReportedRun after = score::reported_run(tx, run);
  if (!against) against = score::natural_opponent(tx, after.run);
  score::ReportedRun before;
  if (against) before = score::reported_run(tx, against);
  const score::Comparison c = score::compare(before.scores, after.scores);
  cli::ScoreReport report;
  report.run = to_spread(after, c.after);
  if (!against) return report;
  report.against = to_spread(before, c.before);
  report.both = c.both;
  report.appeared = c.appeared;
  report.gone = c.gone;
  report.mean_shift = c.mean_shift;
  report.p10_shift = c.p10_shift;
  report.median_shift = c.median_shift;
  report.p90_shift = c.p90_shift;
  for (std::size_t i = 0; i < c.moved.size(); ++i) report.moved.push_back({score::kMovedPoints[i], c.moved[i]});
  for (std::size_t i = 0; i < score::kComponents.size(); ++i)
    report.components.push_back({score::kComponents[i], c.component_shift[i], c.component_shift_most[i]});
  return report;
}

cli::ScoreTools score_tools() {
  cli::ScoreTools tools;
  tools.worker = "score-orchestrator";
  tools.runs = [](Transaction& tx) {
    std::vector<cli::RunStatus> runs;
    for (const score::RunView& v : score::runs_to_show(tx))
      runs.push_back({v.schema, v.run, v.state, v.phase, v.formula, v.as_of, v.error, v.official, v.requests, v.attempt, v.done, v.total, v.seconds,
                      v.eta_seconds});
    return runs;
  };
  tools.report = score_report;
  tools.activate = [](Transaction& tx, const std::string& formula, const std::string& reason) { score::activate_formula(tx, formula, reason); };
  return tools;
}

}  // namespace
}  // namespace cutover

int main(int argc, char** argv) {
  using namespace cutover;
  const auto search_settings = std::make_shared<search::SearchSettings>();
  const std::vector<cli::Projection> projections = {search_projection(search_settings)};
  const std::vector<cli::ShadowSeed> seeds = {search_seed(search_settings), score_seed(), dispute_seed()};
  const cli::ScoreTools scores = score_tools();
  const cli::CaseDesk desk = case_desk();

  cli::Shell shell({search_projector_spec(search_settings), score_orchestrator_spec(), dispute_processor_spec()}, [search_settings](const Settings& settings) {
    *search_settings = {settings.search.stale_after, settings.search.chunk_documents};
  });
  cli::add_run(shell);
  cli::add_relay(shell);
  cli::add_streams(shell);
  cli::add_reindex(shell, projections);
  cli::add_drift(shell, projections);
  cli::add_ownership_steps(shell, seeds);
  cli::add_history(shell);
  cli::add_watch(shell);
  cli::add_incarnation(shell);
  cli::add_dlq(shell);
  cli::add_status(shell, scores);
  cli::add_trigger(shell);
  cli::add_score(shell, scores);
  cli::add_audit(shell);
  cli::add_compare(shell);
  cli::add_explain(shell);
  cli::add_cases(shell, desk);
  cli::add_doctor(shell);
  cli::add_config(shell);
  cli::add_version(shell);
  cli::add_completion(shell);
  return shell.main(argc, argv);
}
