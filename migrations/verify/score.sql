-- Verify cutover:score on pg
BEGIN;
SELECT 1 / (cutover.schema_version() >= 9)::int;
SELECT run_id, side, state, phase, official, beside, as_of, formula, stream, incarnation, sequence, key, attempt, done, total, summary
FROM serving.score_runs WHERE false;
SELECT run_id, principal_id, score, quality, position, stability, trust, penalty, edges, up_1, up_2, down_1, down_2
FROM shadow.score_results WHERE false;
SELECT principal_id, as_of, gone, score, formula, stream, sequence FROM shadow.score_updates WHERE false;
SELECT principal_id, score, as_of, formula, stream, sequence, run_id, stale_seconds FROM serving.scores WHERE false;
SELECT principal_id, score, as_of, formula, stream, sequence, run_id, stale_seconds FROM shadow.scores WHERE false;
SELECT principal_id, as_of, score FROM serving.score_history WHERE false;
SELECT principal_id, quality_percent, up, down FROM serving.score_explanations WHERE false;
SELECT 1 / (count(*) = 1)::int FROM serving.score_current;
SELECT 1 / (count(*) = 1)::int FROM serving.score_formulas WHERE state = 'active';
SELECT 'cutover.hold_request'::regproc, 'serving.publish_score_run'::regproc, 'shadow.publish_score_run'::regproc;
SELECT 1 / (has_table_privilege('cutover_score_orchestrator', 'serving.score_results', 'insert, update, delete')
  AND has_table_privilege('cutover_monolith', 'serving.score_updates', 'insert'))::int;
ROLLBACK;
