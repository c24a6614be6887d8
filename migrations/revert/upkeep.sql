-- Revert cutover:upkeep from pg
BEGIN;
DROP FUNCTION cutover.note_settled_below, cutover.note_no_backlog, cutover.forget_settled, cutover.compact_settlements,
  cutover.expire_marks, cutover.merge_marks, cutover.rotate_marks;
CREATE OR REPLACE FUNCTION cutover.schema_version() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 5';
COMMIT;
