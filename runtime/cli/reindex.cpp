#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include "runtime/cli/commands.h"
#include "runtime/cli/interrupt.h"
#include "runtime/cli/operator_transactions.h"
#include "runtime/cli/progress_bar.h"

namespace cutover::cli {
namespace {

constexpr const char* kOutcomes[] = {"completed", "drifted", "interrupted"};
constexpr const char* kVerdicts[] = {"ok", "different", "inconclusive"};
constexpr int kDriftExits[] = {kFine, kDifferent, kInconclusive};

Json as_json(const DriftResult& drift) {
  return {{"verdict", kVerdicts[static_cast<int>(drift.verdict)]},
          {"mode", drift.mode},
          {"checked", drift.checked},
          {"missing", drift.missing},
          {"extra", drift.extra},
          {"different", drift.different},
          {"in_flight", drift.in_flight},
          {"percent", drift.percent},
          {"examples", drift.examples}};
}

void print(Output& out, const DriftResult& drift) {
  const auto count = [](std::int64_t number) { return grouped(static_cast<std::uint64_t>(number)); };
  const Tone tones[] = {Tone::good, Tone::bad, Tone::warn};
  out.line(fmt::format(
      "{}: of {} documents ({}) {} missing, {} extra, {} different: {:.3f} %; {} were in flight",
      out.paint(kVerdicts[static_cast<int>(drift.verdict)], tones[static_cast<int>(drift.verdict)]),
      count(drift.checked), drift.mode, count(drift.missing), count(drift.extra), count(drift.different),
      drift.percent, count(drift.in_flight)));
  for (const std::string& example : drift.examples) out.line("  " + example);
  if (drift.verdict == DriftResult::Verdict::different)
    out.line("Do: `cutover reindex` writes the documents anew; repeat the check then.");
  if (drift.verdict == DriftResult::Verdict::inconclusive) out.line("There was nothing to compare.");
}

const Projection& projection_of(const std::vector<Projection>& projections, const std::string& worker) {
  return *std::find_if(projections.begin(), projections.end(),
                       [&](const Projection& p) { return p.worker == worker; });
}

int run_drift(const Shell& shell, const Projection& projection, const DriftRequest& request) {
  Interrupt interrupt;
  const Settings settings = shell.load_settings().values;
  DriftResult drift;
  {
    ProgressBar bar;
    drift = projection.drift(
        operator_transactions(settings, projection.worker, "drift"), request,
        [&](std::chrono::milliseconds time) { return interrupt.wait(time); },
        [&](std::int64_t seen, std::int64_t expected) {
          if (interrupt.came())
            throw CommandError("interrupted before the comparison was complete. Do: run it again.",
                               kInconclusive);
          bar.show("comparing", seen, expected);
        });
  }
  Output out = shell.output();
  if (out.json())
    out.document(as_json(drift));
  else
    print(out, drift);
  return kDriftExits[static_cast<int>(drift.verdict)];
}

int run_reindex(const Shell& shell, const Projection& projection, const ReindexRequest& request) {
  Interrupt interrupt;
  const Settings settings = shell.load_settings().values;
  ReindexResult result;
  {
    ProgressBar bar;
    result = projection.reindex(
        operator_transactions(settings, projection.worker, "reindex"), request,
        [&](const ReindexProgress& progress) {
          bar.show(progress.phase, progress.seen, progress.expected);
          return !interrupt.came();
        },
        [&](std::chrono::milliseconds time) { return interrupt.wait(time); });
  }
  const ReindexProgress& progress = result.progress;
  Output out = shell.output();
  if (out.json()) {
    out.document({{"outcome", kOutcomes[static_cast<int>(result.outcome)]},
                  {"run", progress.run},
                  {"resumed", progress.resumed},
                  {"seen", progress.seen},
                  {"upserted", progress.upserted},
                  {"deleted", progress.deleted},
                  {"drift", result.drift ? as_json(*result.drift) : Json(nullptr)}});
  } else {
    out.line(fmt::format(
        "{}{}: looked at {}, wrote {}, deleted {}", kOutcomes[static_cast<int>(result.outcome)],
        progress.resumed ? " (went on with an earlier run)" : "",
        counted(static_cast<std::uint64_t>(progress.seen), "key"), progress.upserted, progress.deleted));
    if (result.drift) print(out, *result.drift);
    if (result.outcome == ReindexResult::Outcome::interrupted)
      out.line("Do: run it again; it goes on where it stopped.");
  }
  return kDriftExits[static_cast<int>(result.outcome)];
}

std::vector<std::string> names_of(const std::vector<Projection>& projections) {
  std::vector<std::string> names;
  for (const Projection& projection : projections) names.push_back(projection.worker);
  return names;
}

}  // namespace

void add_reindex(Shell& shell, const std::vector<Projection>& projections) {
  struct Options {
    std::string worker;
    ReindexRequest request;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      shell.add(shell.app(), "reindex", "Rebuild a worker's documents beside live traffic, then check them",
                "cutover reindex search-projector --owner 42", [&shell, &projections, options] {
                  return run_reindex(shell, projection_of(projections, options->worker), options->request);
                });
  command->add_option("worker", options->worker, "Its name")
      ->required()
      ->check(CLI::IsMember(names_of(projections)));
  command->add_option("--owner", options->request.owner, "Only the documents of this owner")->type_name("ID");
  command->add_flag("--restart", options->request.restart,
                    "Begin anew instead of going on with an unfinished run");
}

void add_drift(Shell& shell, const std::vector<Projection>& projections) {
  struct Options {
    std::string worker;
    DriftRequest request;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      shell.add(shell.app(), "drift", "Compare a worker's documents with their source; exit 1 above 0.5 %",
                "cutover drift search-projector --sample 500", [&shell, &projections, options] {
                  return run_drift(shell, projection_of(projections, options->worker), options->request);
                });
  command->add_option("worker", options->worker, "Its name")
      ->required()
      ->check(CLI::IsMember(names_of(projections)));
  CLI::Option* sample =
      command
          ->add_option("--sample", options->request.sample, "How many documents to look at; 1000 unless told")
          ->type_name("N")
          ->check(CLI::Range(std::size_t{1}, std::size_t{10'000'000}));
  command->add_flag("--full", options->request.full, "Look at all of them")->excludes(sample);
  command->add_option("--owner", options->request.owner, "Only the documents of this owner, all of them")
      ->type_name("ID");
  command
      ->add_option("--seed", options->request.seed,
                   "Of the sample: the same seed looks at the same documents")
      ->type_name("N");
}

}  // namespace cutover::cli
