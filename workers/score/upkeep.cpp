#include "workers/score/upkeep.h"

namespace cutover::score {
namespace {

constexpr std::int64_t kRows = 5'000;

// A run goes when its results are gone.
constexpr std::string_view kForget = R"sql(
WITH old AS MATERIALIZED (
  SELECT r.run_id FROM score_runs r
  WHERE r.finished_at < now() - interval '90 days' AND r.announced_to IS NULL
    AND r.run_id IS DISTINCT FROM (SELECT c.run_id FROM score_current c)
  ORDER BY r.run_id LIMIT 1),
unpublished AS MATERIALIZED (
  SELECT r.run_id FROM score_runs r
  WHERE r.state IN ('failed', 'abandoned') AND EXISTS (SELECT FROM score_results s WHERE s.run_id = r.run_id)
  ORDER BY r.run_id LIMIT 1),
results AS (
  DELETE FROM score_results WHERE (run_id, principal_id) IN (
    SELECT s.run_id, s.principal_id FROM score_results s
    WHERE s.run_id IN (SELECT run_id FROM old UNION ALL SELECT run_id FROM unpublished) LIMIT $1::bigint)
  RETURNING 1),
updates AS (
  DELETE FROM score_updates WHERE (principal_id, as_of) IN (
    SELECT u.principal_id, u.as_of FROM score_updates u JOIN score_current c ON u.as_of < c.as_of
    WHERE u.as_of < now() - interval '90 days' LIMIT $1::bigint)
  RETURNING 1),
runs AS (
  DELETE FROM score_runs WHERE run_id IN (SELECT run_id FROM old)
    AND NOT EXISTS (SELECT FROM score_results s WHERE s.run_id = score_runs.run_id)
  RETURNING 1)
SELECT (SELECT count(*) FROM results) + (SELECT count(*) FROM updates) + (SELECT count(*) FROM runs))sql";

}  // namespace

bool forget_old_scores(Transaction& tx) {
  return tx.query(kForget, {kRows})->integer(0, 0) > 0;
}

}  // namespace cutover::score
