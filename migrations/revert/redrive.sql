-- Revert cutover:redrive from pg
BEGIN;
DROP TRIGGER note_outcome ON cutover.dead_letters;
DROP FUNCTION cutover.note_outcome(), cutover.seal_replay(jsonb, bigint, boolean, text, text), cutover.approve_replay(bigint, text, text),
  cutover.begin_replay(bigint, text, text), cutover.send_replay(bigint, integer, bigint, bigint), cutover.publish_replays(bigint, bigint[]),
  cutover.replay_id(bigint, text, bigint, bigint, integer), cutover.republish_replays(interval, integer), cutover.replay_progress(bigint),
  cutover.end_replay(bigint, integer, text, text, text), cutover.drop_letters(bigint[], bigint, text, text),
  cutover.edit_letter(bigint, integer, bytea, text, text, text, text, text, bigint, jsonb, text, text),
  cutover.letter_document(cutover.dead_letters), cutover.import_letters(jsonb, text, text, boolean), cutover.letters(jsonb),
  cutover.guarded_area(text, text);
DROP TABLE cutover.replay_items, cutover.replay_plans;
CREATE OR REPLACE FUNCTION cutover.schema_version() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 10';
COMMIT;
