-- Verify cutover:dispute on pg
BEGIN;
SELECT 1 / (cutover.schema_version() >= 10)::int;
SELECT case_id, case_type, severity, principal_id, counterparty_id, channel_id, opened_at, verified_business, appeal_of, state, version,
  decided_version, evaluations, routed_lane, base_lane, lane, reasons, first_response_due, first_response_at, hold_until, hold_rule,
  hold_extended, decide_at, rule, outcome, actions, blocked_by, warned, notifications, resolved_at, resolved_by, stream, seq
FROM serving.dispute_queue WHERE false;
SELECT case_id, version, kind, material, at, evidence, stream, seq FROM shadow.dispute_evidence WHERE false;
SELECT case_id, evaluation, version, cause, as_of, rule, outcome, confidence, lane, hold_hours, actions, stream, seq
FROM shadow.dispute_decisions WHERE false;
SELECT case_id, kind, principal_id, channel_id, applied_at, lifted_at FROM shadow.dispute_restrictions WHERE false;
SELECT case_id, channel_id, state, path, expected_version, blocked_by, refused, at FROM shadow.dispute_transitions WHERE false;
SELECT audit_id, case_id, at, what, rule, actor_id, actor_type, reason, detail, stream, seq FROM shadow.dispute_audit WHERE false;
SELECT 1 / (count(*) = 1)::int FROM pg_trigger WHERE tgrelid = 'serving.dispute_audit'::regclass AND tgname = 'dispute_audit_append_only';
SELECT serving.lock_disputes('serving.dispute_queue', '{1}', '{2}');
SELECT 1 / has_table_privilege('cutover_dispute_processor', 'serving.dispute_decisions', 'insert')::int;
SELECT 1 / (NOT has_table_privilege('cutover_dispute_processor', 'serving.dispute_audit', 'update'))::int;
ROLLBACK;
