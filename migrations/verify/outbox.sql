-- Verify cutover:outbox on pg
BEGIN;
SELECT outbox_id, message_id, subject, key, payload, headers, priority, shard, available_at, timer_key, schedule, event_id,
  worker_id, created_at, published_at, stream, sequence, attempts, error FROM cutover.outbox WHERE false;
SELECT 1 / (count(*) = 6)::int FROM pg_indexes WHERE schemaname = 'cutover' AND tablename = 'outbox' AND indexname LIKE 'outbox\_%'
  AND indexname <> 'outbox_pkey';
ROLLBACK;
