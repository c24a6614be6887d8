-- Verify cutover:schemas on pg
BEGIN;
SELECT 1 / (count(*) = 3)::int FROM pg_namespace WHERE nspname IN ('cutover', 'serving', 'shadow');
SELECT 1 / (count(*) = 2)::int FROM pg_extension WHERE extname IN ('pg_trgm', 'btree_gist');
SELECT 1 / (count(*) = 7)::int FROM pg_roles WHERE rolname LIKE 'cutover\_%' AND NOT rolcanlogin
  AND rolname IN ('cutover_worker', 'cutover_search_projector', 'cutover_score_orchestrator',
                  'cutover_dispute_processor', 'cutover_relay', 'cutover_monolith', 'cutover_operator');
ROLLBACK;
