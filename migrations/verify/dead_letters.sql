-- Verify cutover:dead_letters on pg
BEGIN;
SELECT letter_id, state, plan_id, kind, error, error_group, attempts, history, headers, payload FROM cutover.dead_letters WHERE false;
SELECT 1 / (cutover.event_hash('a') <> cutover.event_hash('b'))::int;
SELECT 'cutover.write_dead_letter'::regproc;
ROLLBACK;
