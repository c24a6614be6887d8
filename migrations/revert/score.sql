-- Revert cutover:score from pg
-- The SELECT on app.trust_incidents stays granted: the monolith grants it too.
BEGIN;
DROP FUNCTION cutover.hold_request(text, text, text, integer, bigint, text), serving.publish_score_run(bigint, integer),
  shadow.publish_score_run(bigint, integer);
DROP VIEW serving.score_explanations, serving.score_history, serving.scores, shadow.score_explanations, shadow.score_history, shadow.scores;
DROP TABLE serving.score_current, serving.score_updates, serving.score_results, serving.score_runs, serving.score_reasons,
  serving.score_formula_checks, serving.score_formulas, shadow.score_current, shadow.score_updates, shadow.score_results, shadow.score_runs;
CREATE OR REPLACE FUNCTION cutover.schema_version() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 8';
COMMIT;
