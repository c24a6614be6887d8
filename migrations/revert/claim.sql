-- Revert cutover:claim from pg
BEGIN;
DROP FUNCTION cutover.note_settled_below(text, text, text, integer, bigint), cutover.note_no_backlog(text, text, text, integer), cutover.forget_settled(interval), cutover.compact_settlements(interval, integer),
  cutover.expire_marks(uuid, integer, interval), cutover.merge_marks(integer), cutover.rotate_marks(bigint),
  cutover.add_attempt(text, text, integer, bigint, boolean, text),
  cutover.start_redelivered(text, text, integer, text, integer, bigint[], boolean),
  cutover.settle(text, text, text, integer, bigint[], text[], text[], text[], bigint[], bigint[], text),
  cutover.claim(text, text, text, text, integer, bigint[], text[], text[], text[], bigint[], bigint[]),
  cutover.pass_settled(smallint, boolean, integer, bigint[], text[], bigint[], text),
  cutover.check_order(smallint, boolean, integer, bigint[], text[], text[], text[], bigint[], "char"[]),
  cutover.insert_marks_0(integer, bigint[], uuid[]), cutover.insert_marks_1(integer, bigint[], uuid[]),
  cutover.take_marks(text, smallint, integer, smallint, bigint[], text[], "char"[], boolean),
  cutover.settled_as(int8multirange, bigint[], bigint, text), cutover.bucket(text), cutover.mark_key(text, smallint, text);
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cutover TO PUBLIC;
CREATE OR REPLACE FUNCTION cutover.schema_version() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 4';
COMMIT;
