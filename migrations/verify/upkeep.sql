-- Verify cutover:upkeep on pg
BEGIN;
SELECT 1 / (cutover.schema_version() >= 6)::int;
SELECT 'cutover.rotate_marks'::regproc, 'cutover.merge_marks'::regproc, 'cutover.expire_marks'::regproc,
  'cutover.compact_settlements'::regproc, 'cutover.forget_settled'::regproc, 'cutover.note_no_backlog'::regproc,
  'cutover.note_settled_below'::regproc;
ROLLBACK;
