-- Verify cutover:redrive on pg
BEGIN;
SELECT 1 / (cutover.schema_version() >= 11)::int;
SELECT plan_id, hand_over, state, filter, letters, hash, areas, actor, login, reason, approved_login, run FROM cutover.replay_plans WHERE false;
SELECT plan_id, position, letter_id, entries, run, sent_at, publications, outcome FROM cutover.replay_items WHERE false;
SELECT letter_id FROM cutover.letters('{"state": "open", "letters": [1]}') LIMIT 0;
SELECT 'cutover.seal_replay'::regproc, 'cutover.approve_replay'::regproc, 'cutover.begin_replay'::regproc, 'cutover.send_replay'::regproc,
  'cutover.republish_replays'::regproc, 'cutover.replay_progress'::regproc, 'cutover.end_replay'::regproc, 'cutover.drop_letters'::regproc,
  'cutover.edit_letter'::regproc, 'cutover.letter_document'::regproc, 'cutover.import_letters'::regproc;
SELECT 1 / (count(*) = 1)::int FROM pg_trigger WHERE tgname = 'note_outcome';
ROLLBACK;
