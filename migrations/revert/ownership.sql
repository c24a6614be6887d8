-- Revert cutover:ownership from pg
BEGIN;
DROP TRIGGER append_only ON cutover.ownership;
DROP TABLE cutover.operator_log, cutover.parity_verdicts, cutover.batch_times;
DROP FUNCTION cutover.log_operation(text, text, text, jsonb, text, text[], text, jsonb),
  cutover.start_incarnation(text, timestamptz, text, text), cutover.seed_shadow_versions(text),
  cutover.pass_version(text, text, bigint, boolean), cutover.free_marks(bigint[]),
  cutover.copy_headers(jsonb, text, text, integer, bigint), cutover.seize_id(text, bigint, text, bigint),
  cutover.seize_replays(text, bigint), cutover.seize(text, bigint, text, integer, bigint[], text[], text[], text[], jsonb[], bytea[]),
  cutover.append_segments(text, text, numeric, text, text, text[], integer[], bigint[]),
  cutover.unsettled(text, text, integer, bigint, bigint), cutover.highest_seen(text, text, integer),
  cutover.owned_by_worker(smallint, integer, bigint, text, bigint), cutover.locked_worker(text), cutover.require_read_committed(),
  cutover.refuse_change();
REVOKE EXECUTE ON FUNCTION cutover.note_settled_below(text, text, text, integer, bigint) FROM cutover_operator;
CREATE OR REPLACE FUNCTION cutover.schema_version() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 7';
COMMIT;
