#include <memory>

#include "runtime/cli/commands.h"
#include "runtime/cli/compare.h"
#include "workers/dispute/dispute_worker.h"
#include "workers/dispute/operator_desk.h"
#include "workers/dispute/shadow_seed.h"
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

}  // namespace
}  // namespace cutover

int main(int argc, char** argv) {
  using namespace cutover;
  const auto search_settings = std::make_shared<search::SearchSettings>();
  const std::vector<cli::Projection> projections = {search_projection(search_settings)};
  const std::vector<cli::ShadowSeed> seeds = {search_seed(search_settings), dispute_seed()};
  const cli::CaseDesk desk = case_desk();

  cli::Shell shell({search_projector_spec(search_settings), dispute_processor_spec()}, [search_settings](const Settings& settings) {
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
  cli::add_status(shell);
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
