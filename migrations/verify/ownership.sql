-- Verify cutover:ownership on pg
BEGIN;
SELECT 1 / (cutover.schema_version() >= 8)::int;
SELECT at, actor, login, command, worker, arguments, reason, forced, result, detail FROM cutover.operator_log WHERE false;
SELECT worker, at, verdict, samples, build, formula, schema_version, detail FROM cutover.parity_verdicts WHERE false;
SELECT 'cutover.append_segments'::regproc, 'cutover.seize'::regproc, 'cutover.seize_replays'::regproc, 'cutover.unsettled'::regproc,
  'cutover.highest_seen'::regproc, 'cutover.pass_version'::regproc, 'cutover.start_incarnation'::regproc, 'cutover.log_operation'::regproc;
SELECT 1 / (count(*) = 2)::int FROM pg_trigger WHERE tgname = 'append_only';
ROLLBACK;
