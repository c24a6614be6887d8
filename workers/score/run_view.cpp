#include "workers/score/run_view.h"

#include <algorithm>
#include <array>
#include <stdexcept>

#include "workers/score/formula_watch.h"

namespace cutover::score {
namespace {

// With how long the phases of the last published run took, in ms; a guess of their proportions before there
// is one.
constexpr std::string_view kRuns = R"sql(
WITH runs AS (
  SELECT 'serving' AS schema, r.* FROM serving.score_runs r WHERE r.state IN ('queued', 'running')
  UNION ALL SELECT 'shadow', r.* FROM shadow.score_runs r WHERE r.state IN ('queued', 'running')
  UNION ALL (SELECT 'serving', r.* FROM serving.score_runs r WHERE r.finished_at IS NOT NULL ORDER BY r.finished_at DESC, r.run_id DESC LIMIT 1)
  UNION ALL (SELECT 'shadow', r.* FROM shadow.score_runs r WHERE r.finished_at IS NOT NULL ORDER BY r.finished_at DESC, r.run_id DESC LIMIT 1)),
last AS (
  SELECT (took ->> 'reading')::float8 AS reading, (took ->> 'computing')::float8 AS computing, (took ->> 'staging')::float8 AS staging
  FROM (SELECT summary -> 'milliseconds' AS took, finished_at FROM serving.score_runs WHERE state = 'published'
        UNION ALL SELECT summary -> 'milliseconds', finished_at FROM shadow.score_runs WHERE state = 'published') r
  WHERE took IS NOT NULL ORDER BY finished_at DESC LIMIT 1)
SELECT r.schema, r.run_id, r.state, r.phase, r.formula, r.as_of::text, coalesce(r.error, ''), r.official, r.requests, r.attempt, r.done, r.total,
       coalesce(extract(epoch FROM coalesce(r.finished_at, clock_timestamp()) - r.started_at), 0)::float8,
       l.reading IS NOT NULL, coalesce(l.reading, 6), coalesce(l.computing, 3), coalesce(l.staging, 1)
FROM runs r LEFT JOIN last l ON true
ORDER BY r.schema, r.state = 'running' DESC, r.state = 'queued' DESC, r.run_id)sql";

//   phases    reading, computing, staging, in ms
//   measured  they are those of a run; else only their proportions count, and the time that this run took so
//   far
std::optional<double> eta(const RunView& run, const std::array<double, 3>& phases, bool measured) {
  constexpr std::array<std::string_view, 3> kNames{"reading", "computing", "staging"};
  if (run.state != "running") return std::nullopt;
  double left = 0, all = 0;
  bool ahead = false;
  for (std::size_t i = 0; i < phases.size(); ++i) {
    all += phases[i];
    if (ahead) left += phases[i];
    if (run.phase != kNames[i]) continue;
    ahead = true;
    const double done = static_cast<double>(run.done), total = static_cast<double>(run.total);
    left += phases[i] * (total > 0 ? std::max(0.0, 1 - done / total) : 1.0);
  }
  if (measured || left == 0) return left / 1000;
  const double share = 1 - left / all;
  if (share < 0.01) return std::nullopt;
  return run.seconds * (1 - share) / share;
}

}  // namespace

std::vector<RunView> runs_to_show(Transaction& tx) {
  const auto rows = tx.query(kRuns);
  std::vector<RunView> views;
  for (std::size_t i = 0; i < rows->size(); ++i) {
    const auto text = [&](std::size_t column) { return std::string(rows->text(i, column)); };
    RunView view{text(0), rows->integer(i, 1), text(2), text(3), text(4), text(5),
                 text(6), rows->boolean(i, 7)};
    view.requests = rows->integer(i, 8);
    view.attempt = rows->integer(i, 9);
    view.done = rows->integer(i, 10);
    view.total = rows->integer(i, 11);
    view.seconds = rows->number(i, 12);
    view.eta_seconds =
        eta(view, {rows->number(i, 14), rows->number(i, 15), rows->number(i, 16)}, rows->boolean(i, 13));
    views.push_back(std::move(view));
  }
  return views;
}

ReportedRun reported_run(Transaction& tx, std::optional<std::int64_t> run) {
  const auto rows = tx.query(R"sql(
SELECT r.run_id, r.as_of::text, r.formula FROM serving.score_runs r
WHERE r.state = 'published' AND r.run_id = coalesce(nullif($1::bigint, 0), (SELECT c.run_id FROM serving.score_current c)))sql",
                             {run.value_or(0)});
  if (rows->size() == 0)
    throw std::invalid_argument(run ? "there is no published score run " + std::to_string(*run)
                                    : "no score run was published yet");
  ReportedRun report;
  report.run = rows->integer(0, 0);
  report.as_of = rows->text(0, 1);
  report.formula = rows->text(0, 2);
  report.scores = scores_of_run(tx, report.run);
  return report;
}

std::optional<std::int64_t> natural_opponent(Transaction& tx, std::int64_t run) {
  const auto rows =
      tx.query("SELECT coalesce(beside, previous) FROM serving.score_runs WHERE run_id = $1::bigint", {run});
  if (rows->size() == 0 || rows->is_null(0, 0)) return std::nullopt;
  return rows->integer(0, 0);
}

}  // namespace cutover::score
