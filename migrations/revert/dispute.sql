-- Revert cutover:dispute from pg
-- The SELECT on app.channels stays granted: other migrations and the monolith grant it too.
BEGIN;
REVOKE INSERT, DELETE ON cutover.outbox FROM cutover_operator;
REVOKE UPDATE ON cutover.outbox FROM cutover_operator;
GRANT UPDATE (published_at, stream, sequence) ON cutover.outbox TO cutover_operator;
REVOKE UPDATE, DELETE ON cutover.outbox FROM cutover_monolith;
DROP FUNCTION serving.lock_disputes(regclass, bigint[], bigint[]);
DROP TABLE serving.dispute_queue, serving.dispute_evidence, serving.dispute_decisions, serving.dispute_restrictions,
  serving.dispute_transitions, serving.dispute_audit, shadow.dispute_queue, shadow.dispute_evidence, shadow.dispute_decisions,
  shadow.dispute_restrictions, shadow.dispute_transitions, shadow.dispute_audit;
DROP FUNCTION serving.refuse_audit_change();
CREATE OR REPLACE FUNCTION cutover.schema_version() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 9';
COMMIT;
