-- Verify cutover:claim on pg
BEGIN;
SELECT 1 / (cutover.schema_version() >= 5)::int;
SELECT 1 / (cutover.bucket('') = 6037 AND cutover.bucket('contact:42') = 3053)::int;
SELECT 'cutover.claim'::regproc, 'cutover.claim_shadow'::regproc, 'cutover.settle'::regproc, 'cutover.start_redelivered'::regproc, 'cutover.add_attempt'::regproc;
ROLLBACK;
