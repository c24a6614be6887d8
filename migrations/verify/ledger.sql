-- Verify cutover:ledger on pg
BEGIN;
SELECT 1 / (cutover.schema_version() >= 2)::int;
SELECT worker_id, worker, ordered, gap_limit FROM cutover.workers WHERE false;
SELECT settled_below, at FROM cutover.floors WHERE false;
SELECT shadow, key, versions FROM cutover.aggregates WHERE false;
SELECT sequence, event_hash, version, since FROM cutover.waiting WHERE false;
SELECT stream, published_at, written_at, gone_at FROM cutover.copies WHERE false;
SELECT stream_id, stream, incarnation, created_at FROM cutover.streams WHERE false;
SELECT epoch, from_sequence, mode, percent, actor, reason, at FROM cutover.ownership WHERE false;
SELECT key, stream_id, sequence, marked_at FROM cutover.marks WHERE false;
SELECT 1 / (count(*) = 1)::int FROM cutover.mark_slot;
SELECT side, class, sequences, span, event_hashes, settled_at FROM cutover.settlements WHERE false;
SELECT attempts, lone_crashes, suspect, first_failed_at, last_error FROM cutover.attempts WHERE false;
SELECT has_function_privilege('cutover.stream_incarnation(text, timestamptz)', 'execute');
ROLLBACK;
