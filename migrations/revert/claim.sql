-- Revert cutover:claim from pg
BEGIN;
DROP FUNCTION cutover.add_attempt, cutover.start_redelivered,
  cutover.settle, cutover.claim_shadow, cutover.claim, cutover.shadow_period, cutover.pass_settled, cutover.check_order, cutover.insert_marks_0, cutover.insert_marks_1,
  cutover.take_marks, cutover.settled_as, cutover.bucket, cutover.mark_key;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cutover TO PUBLIC;
CREATE OR REPLACE FUNCTION cutover.schema_version() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 4';
COMMIT;
