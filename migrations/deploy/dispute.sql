-- Deploy cutover:dispute to pg
-- requires: ownership
-- Ownership and trust cases: their queue, evidence, decisions, restrictions, transitions and audit, in `serving` and `shadow`.
-- The worker and the monolith write the same rows for the same events; what a row means is said here, once, for both.
--
-- Between the two steps, for both sides. Key (Cutover-Key, subject_id) is the case id, subject.version 0: such events are not
-- ordered, they carry what makes a stale one harmless.
--   dispute.queue_routed.p<lane>  {case_id, version, lane}: version asks for an evaluation in that lane. Does nothing when the
--     case has a higher lane by now or decided that version; else everything the case has got so far is worked on, in order.
--     Idempotency key routed:<case>:<version>:p<lane>.
--   dispute.timer_fired.p<lane>   {case_id, timer, due, version}: timer is hold, cooling, first_response or channel (another case
--     gave the channel free), due its time (RFC 3339), version that of the case when it was set (0 or missing: unknown). Of
--     hold and cooling it says that time has come to `due`: what ends then or before ends. Idempotency key
--     timer:<case>:<timer>:<due in us>:<version>; outbox timer_key dispute:<case>:<timer>, which cancels it.
-- A case lives by the time of its events, not by the time at which somebody gets round to them: a decision is a function of the
-- case's own events and their times alone, so a replay takes the same ones. Before an event of time t, holds and coolings that
-- end at t or earlier end.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION cutover.schema_version() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 10';

-- One row for each case, as it stands.
CREATE TABLE serving.dispute_queue (
  case_id            bigint PRIMARY KEY,     -- of an appeal: minus the id of the case that it appeals
  case_type          text NOT NULL CHECK (case_type IN ('C1', 'C2', 'C3', 'C4', 'C5', 'C6')),
  severity           text NOT NULL CHECK (severity IN ('L1', 'L2', 'L3')),
  principal_id       bigint NOT NULL,        -- who opened it: the challenger, the requester, the reporter; in C6 whom it is about
  counterparty_id    bigint,                 -- the other one: the incumbent, whom it is about
  channel_id         bigint,
  opened_at          timestamptz NOT NULL,   -- of the payload
  verified_business  boolean NOT NULL,
  appeal_of          bigint UNIQUE,          -- an appeal waits for an operator in P2; it is not decided by rules nor appealed itself
  -- routed: an evaluation is asked for; queued: an operator's turn; waiting: cooling; held: the outcome stands and takes
  -- effect when the hold is over and the channel is free; resolved. Restrictions and reasons change in any of them.
  state              text NOT NULL CHECK (state IN ('routed', 'queued', 'waiting', 'held', 'resolved')),
  version            bigint NOT NULL,            -- the last one taken in (subject.version of security.*); of an appeal 0
  decided_version    bigint NOT NULL DEFAULT 0,  -- the last one that was worked on by the lanes
  evaluations        integer NOT NULL DEFAULT 0,
  routed_lane        smallint NOT NULL CHECK (routed_lane BETWEEN 0 AND 3),  -- of the table of lanes, by what the case was opened with
  base_lane          smallint NOT NULL CHECK (base_lane BETWEEN 0 AND 3),    -- of the last decision that names one, else routed_lane
  lane               smallint NOT NULL CHECK (lane BETWEEN 0 AND 3),         -- base_lane less the number of reasons, at least 0
  reasons            text[] NOT NULL DEFAULT '{}',  -- sorted, of: earlier_case, evidence, first_response, verified_business
  -- opened_at and the limit of the lane; when the lane rises, that moment and the limit of the new lane, if that is sooner.
  first_response_due timestamptz NOT NULL,
  first_response_at  timestamptz,            -- by the clock: an outcome without an operator, or an operator's command
  hold_until         timestamptz,            -- of the hold that runs; null: none does
  hold_rule          text,                   -- of the last hold, running or over: when the same rule comes out again it is not held again
  hold_extended      boolean NOT NULL DEFAULT false,
  decide_at          timestamptz,            -- decided again then: the end of a hold with new evidence, or of cooling
  rule               text,                   -- of the last decision
  outcome            text,                   -- resolve | reject | dismiss | queue | wait of the last decision
  actions            text[] NOT NULL DEFAULT '{}',
  blocked_by         bigint,                 -- the case whose transition of the channel has to end first
  warned             boolean NOT NULL DEFAULT false,
  notifications      smallint NOT NULL DEFAULT 0 CHECK (notifications BETWEEN 0 AND 3),  -- the third is kept for the resolution
  resolved_at        timestamptz,            -- the moment that the resolution counts from
  resolved_by        text,                   -- rule or the operator's name
  stream             text,                   -- the case event that last changed it
  seq                bigint
);
CREATE INDEX dispute_queue_open ON serving.dispute_queue (lane, opened_at, case_id) WHERE state <> 'resolved';
CREATE INDEX dispute_queue_principal ON serving.dispute_queue (principal_id, opened_at);

-- What the case events said, a row for each version.
CREATE TABLE serving.dispute_evidence (
  case_id  bigint NOT NULL,
  version  bigint NOT NULL,
  kind     text NOT NULL CHECK (kind IN ('opened', 'evidence', 'reopened')),
  material boolean NOT NULL,       -- opened: true, reopened: false
  at       timestamptz NOT NULL,   -- opened: opened_at; else occurred_at
  evidence jsonb NOT NULL,         -- the fields that this event brought; a later version's field replaces an earlier one's
  stream   text,
  seq      bigint,
  PRIMARY KEY (case_id, version)
);

-- One row for each evaluation, never changed. No wall time in it: a replay writes the same bytes.
-- Evaluations: the opening; then each material evidence at its time, unless a hold runs: that is extended by 24 h, the first time,
-- and the case decided again at its end (decide_at); and the end of cooling. A hold without new evidence ends without evaluation.
-- A resolved case is not decided again.
CREATE TABLE serving.dispute_decisions (
  case_id    bigint NOT NULL,
  evaluation integer NOT NULL,      -- 1, 2, ...
  version    bigint NOT NULL,       -- evidence of all versions up to this one
  cause      text NOT NULL CHECK (cause IN ('opened', 'evidence', 'hold_ended', 'cooling_ended')),
  as_of      timestamptz NOT NULL,  -- the moment that it is taken for: dispute_evidence.at of the version, or decide_at
  rule       text NOT NULL,         -- C1.one_otp
  outcome    text NOT NULL CHECK (outcome IN ('resolve', 'queue', 'wait', 'reject', 'dismiss')),
  confidence numeric(3, 2) NOT NULL,
  lane       smallint NOT NULL CHECK (lane BETWEEN 0 AND 3),  -- the one that the decision names, else the routed one; no reasons in it
  hold_hours integer NOT NULL,      -- that the rule names
  -- Sorted, of: award_challenger, award_incumbent, favour_challenger, favour_incumbent (C1; the principal is the challenger);
  -- transfer; undo; split; reduce_discoverability; freeze_organisation; recommend_challenger, recommend_dismissal,
  -- recommend_legal_documents; restrict; warn; log.
  actions    text[] NOT NULL,
  stream     text,                  -- the case event of `version`, wherever the evaluation ran
  seq        bigint,
  PRIMARY KEY (case_id, evaluation)
);

-- One row for each restriction of a case. Of principal coalesce(counterparty_id, principal_id) in C4 and C5, else principal_id.
-- restrict: L1 reverification; L2 also channel_edits_frozen, username_transfers_frozen, search_visibility_lowered; L3 also
-- not_publicly_reachable, no_new_shadow_profiles. reduce_discoverability: discoverability_reduced. freeze_organisation:
-- organisation_frozen. A hold of a case with a channel: channel_limited, lifted when the hold ends. All others are lifted when the
-- case is resolved.
CREATE TABLE serving.dispute_restrictions (
  case_id      bigint NOT NULL,
  kind         text NOT NULL,
  principal_id bigint NOT NULL,
  channel_id   bigint,
  applied_at   timestamptz NOT NULL,
  lifted_at    timestamptz,
  PRIMARY KEY (case_id, kind)
);
CREATE INDEX dispute_restrictions_principal ON serving.dispute_restrictions (principal_id) WHERE lifted_at IS NULL;

-- What a case wants of its channel's ownership state; one case has it open at a time. Written under lock_disputes.
CREATE TABLE serving.dispute_transitions (
  case_id          bigint PRIMARY KEY,
  channel_id       bigint NOT NULL,
  state            text NOT NULL CHECK (state IN ('open', 'waiting', 'closed')),  -- closed: with the case
  path             text[] NOT NULL DEFAULT '{}',  -- the channel's state at first, then each state that was asked for
  expected_version bigint,                        -- of the channel at path[1]; one more with each step
  blocked_by       bigint,                        -- waiting: for this case
  refused          text,                          -- OWNERSHIP_INVALID_TRANSITION: the last request that was not allowed, "from>to"
  at               timestamptz NOT NULL           -- last change
);
CREATE UNIQUE INDEX dispute_transitions_open ON serving.dispute_transitions (channel_id) WHERE state = 'open';
CREATE INDEX dispute_transitions_channel ON serving.dispute_transitions (channel_id, case_id);

-- What happened to a case and who did it: append-only.
CREATE TABLE serving.dispute_audit (
  audit_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  case_id    bigint NOT NULL,
  at         timestamptz NOT NULL,
  what       text NOT NULL,     -- routed, decided, escalated, transition_conflict, transition_refused, resolved, note, ...
  rule       text,              -- the one that decided
  actor_id   text NOT NULL,
  actor_type text NOT NULL CHECK (actor_type IN ('user', 'system', 'operator', 'business_admin')),
  reason     text,              -- an operator's
  detail     jsonb NOT NULL DEFAULT '{}',
  stream     text,
  seq        bigint
);
CREATE INDEX dispute_audit_case ON serving.dispute_audit (case_id, audit_id);

CREATE TABLE shadow.dispute_queue (LIKE serving.dispute_queue INCLUDING ALL);
CREATE TABLE shadow.dispute_evidence (LIKE serving.dispute_evidence INCLUDING ALL);
CREATE TABLE shadow.dispute_decisions (LIKE serving.dispute_decisions INCLUDING ALL);
CREATE TABLE shadow.dispute_restrictions (LIKE serving.dispute_restrictions INCLUDING ALL);
CREATE TABLE shadow.dispute_transitions (LIKE serving.dispute_transitions INCLUDING ALL);
CREATE TABLE shadow.dispute_audit (LIKE serving.dispute_audit INCLUDING ALL);

CREATE FUNCTION serving.refuse_audit_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'serving.dispute_audit is append-only: % refused', TG_OP
    USING ERRCODE = 'insufficient_privilege', HINT = 'Add a line that corrects the other one.';
END $$;
CREATE TRIGGER dispute_audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON serving.dispute_audit
  FOR EACH STATEMENT EXECUTE FUNCTION serving.refuse_audit_change();

-- Locks to the end of the transaction, each list in one order: first the principals whose cases are compared (intake), then the
-- channels whose transitions are decided. Rows of dispute_queue are locked after it, ascending. Read in a later statement.
--   p_table  dispute_queue, of serving or shadow: one does not wait for the other
CREATE FUNCTION serving.lock_disputes(p_table regclass, p_principals bigint[], p_channels bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(k.lock) FROM (
    SELECT DISTINCT hashtextextended('principal:' || u.id, p_table::oid::bigint) AS lock
    FROM unnest(p_principals) u (id) WHERE u.id IS NOT NULL ORDER BY 1) k;
  PERFORM pg_advisory_xact_lock(k.lock) FROM (
    SELECT DISTINCT hashtextextended('channel:' || u.id, p_table::oid::bigint) AS lock
    FROM unnest(p_channels) u (id) WHERE u.id IS NOT NULL ORDER BY 1) k;
END $$;

DO $$
BEGIN
  IF to_regclass('app.channels') IS NULL THEN
    RAISE EXCEPTION 'the monolith''s table app.channels is missing in this database'
      USING HINT = 'Deploy into the database of the monolith. For a stand-in, apply tests/monolith/schema/app.sql first.';
  END IF;
  GRANT USAGE ON SCHEMA app TO cutover_worker, cutover_operator;
  GRANT SELECT ON app.channels TO cutover_worker, cutover_operator;
EXCEPTION WHEN insufficient_privilege THEN
  RAISE EXCEPTION '% may not grant SELECT on app.channels to cutover_worker and cutover_operator', current_user
    USING HINT = 'Let the owner of schema app run: GRANT USAGE ON SCHEMA app TO cutover_worker, cutover_operator; GRANT SELECT ON app.channels TO cutover_worker, cutover_operator; and give this user both WITH GRANT OPTION.';
END $$;

GRANT SELECT, INSERT, UPDATE, DELETE ON
  shadow.dispute_queue, shadow.dispute_evidence, shadow.dispute_decisions, shadow.dispute_restrictions, shadow.dispute_transitions,
  shadow.dispute_audit TO cutover_dispute_processor;
GRANT SELECT, INSERT, UPDATE ON serving.dispute_queue, serving.dispute_restrictions, serving.dispute_transitions
  TO cutover_dispute_processor, cutover_monolith, cutover_operator;
GRANT SELECT, INSERT ON serving.dispute_evidence, serving.dispute_decisions, serving.dispute_audit
  TO cutover_dispute_processor, cutover_monolith;
GRANT SELECT ON serving.dispute_evidence, serving.dispute_decisions, serving.dispute_audit TO cutover_operator;
GRANT INSERT ON serving.dispute_audit TO cutover_operator;
GRANT SELECT ON
  shadow.dispute_queue, shadow.dispute_evidence, shadow.dispute_decisions, shadow.dispute_restrictions, shadow.dispute_transitions,
  shadow.dispute_audit TO cutover_operator;
-- An operator's commands have effects, and the monolith arms and cancels timers.
GRANT INSERT, UPDATE, DELETE ON cutover.outbox TO cutover_operator, cutover_monolith;
REVOKE EXECUTE ON FUNCTION serving.lock_disputes(regclass, bigint[], bigint[]), serving.refuse_audit_change() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION serving.lock_disputes(regclass, bigint[], bigint[])
  TO cutover_dispute_processor, cutover_monolith, cutover_operator;

COMMIT;
