-- Deploy cutover:score to pg
-- requires: ownership
-- Network scores: runs, results, what readers see, formula versions; in `serving` and, the same, in `shadow`.
--
-- How a score is written, by either side:
--   a batch        one row in score_runs; its results go to score_results, where nobody sees them; publish_score_run() makes
--                  them visible at once, by moving one row of score_current
--   an incremental one row in score_updates for each principal; a reader sees it while it is newer than the current run
-- So a publication takes milliseconds however many results there are, and no result ever gives way to an older one.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION cutover.schema_version() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 9';

DO $$
BEGIN
  IF to_regclass('app.trust_incidents') IS NULL THEN
    RAISE EXCEPTION 'the monolith''s table app.trust_incidents is missing in this database'
      USING HINT = 'Deploy into the database of the monolith. For a stand-in, apply tests/monolith/schema/app.sql first.';
  END IF;
  BEGIN
    GRANT SELECT ON app.trust_incidents TO cutover_worker;
  EXCEPTION WHEN insufficient_privilege THEN
    RAISE EXCEPTION '% may not grant SELECT on app.trust_incidents to cutover_worker', current_user
      USING HINT = 'Let the owner of schema app run: GRANT SELECT ON ALL TABLES IN SCHEMA app TO cutover_worker.';
  END;
END $$;

-- ---- formula versions: one for both schemas

CREATE TABLE serving.score_formulas (
  formula      text PRIMARY KEY CHECK (formula ~ '^[a-z0-9][a-z0-9.-]{0,30}$'),
  weights      jsonb NOT NULL DEFAULT '{}',  -- what differs from v1.0, by name
  state        text NOT NULL CHECK (state IN ('candidate', 'active', 'retired', 'reverted')),
  previous     text REFERENCES serving.score_formulas,  -- what it replaced when it was activated
  created_at   timestamptz NOT NULL DEFAULT now(),
  activated_at timestamptz,
  reverted_at  timestamptz,
  reason       text                          -- why it was activated or reverted
);
CREATE UNIQUE INDEX score_formulas_active ON serving.score_formulas ((true)) WHERE state = 'active';
INSERT INTO serving.score_formulas (formula, state, activated_at) VALUES ('v1.0', 'active', now());

-- What the watch found 1, 6, 24, 48 and 72 hours after an activation.
CREATE TABLE serving.score_formula_checks (
  formula      text NOT NULL REFERENCES serving.score_formulas,
  activated_at timestamptz NOT NULL,
  hours        integer NOT NULL,
  checked_at   timestamptz NOT NULL DEFAULT now(),
  reverted     boolean NOT NULL,
  detail       jsonb NOT NULL,
  PRIMARY KEY (formula, activated_at, hours)
);

-- Why a score is as it is; `score_results` and `score_updates` hold the codes.
CREATE TABLE serving.score_reasons (
  code   smallint PRIMARY KEY,
  reason text NOT NULL UNIQUE
);
INSERT INTO serving.score_reasons (code, reason) VALUES
  (1, 'mutual_ties'), (2, 'confident_ties'), (3, 'verified_contacts'), (4, 'circles'), (5, 'many_ties'), (6, 'strong_ties'),
  (7, 'bridging'), (8, 'lasting_ties'), (9, 'few_losses'), (10, 'long_verified_channel'), (11, 'no_incidents'),
  (12, 'verified_channels'), (13, 'no_abuse_flags'), (14, 'no_penalty');

-- ---- the same tables, twice

DO $outer$
DECLARE
  v_schema text;
BEGIN
  FOREACH v_schema IN ARRAY ARRAY['serving', 'shadow'] LOOP
    EXECUTE format($ddl$
CREATE TABLE %1$I.score_runs (
  run_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  side           text NOT NULL CHECK (side IN ('worker', 'monolith')),
  state          text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'published', 'failed', 'abandoned')),
  phase          text NOT NULL DEFAULT 'queued' CHECK (phase IN ('queued', 'reading', 'computing', 'staging', 'publishing', 'done')),
  official       boolean NOT NULL DEFAULT true,  -- false: a candidate formula beside the run `beside`; it is never current
  beside         bigint,
  as_of          timestamptz NOT NULL,           -- t: occurred_at of the latest request
  formula        text NOT NULL DEFAULT 'v1.0',
  requests       integer NOT NULL DEFAULT 1,     -- how many joined it
  -- the latest request; null without one
  stream         text,
  incarnation    integer,
  sequence       bigint,
  key            text,
  event_id       text NOT NULL DEFAULT '',
  event_name     text NOT NULL DEFAULT '',
  tenant_scope   text NOT NULL DEFAULT 'global',
  correlation_id text NOT NULL DEFAULT '',
  actor_id       text NOT NULL DEFAULT '',
  actor_type     text NOT NULL DEFAULT '',
  traceparent    text NOT NULL DEFAULT '',
  tracestate     text NOT NULL DEFAULT '',
  -- progress
  instance       text,
  attempt        integer NOT NULL DEFAULT 0,     -- grows when a run is taken up; only the newest attempt may write
  failures       integer NOT NULL DEFAULT 0,     -- attempts that ended with an error
  done           bigint NOT NULL DEFAULT 0,      -- of this phase
  total          bigint NOT NULL DEFAULT 0,
  requested_at   timestamptz NOT NULL DEFAULT now(),
  started_at     timestamptz,
  read_at        timestamptz,                    -- its inputs are those of this time; null: requests may join it
  progressed_at  timestamptz,
  finished_at    timestamptz,
  -- outcome
  became_current boolean NOT NULL DEFAULT false, -- false for a published run: a newer one was there already
  previous       bigint,                         -- the run that was current before it
  principals     bigint,
  edges          bigint,
  summary        jsonb,                          -- distribution, time of each phase in ms, memory
  announced_to   bigint,                         -- score.explanation_updated was sent up to this principal; null: done
  error          text
);
-- One run that may be joined, and one that works, for each side; candidates ride beside them.
CREATE UNIQUE INDEX score_runs_queued ON %1$I.score_runs (side) WHERE state = 'queued' AND official;
CREATE INDEX score_runs_open ON %1$I.score_runs (side, run_id) WHERE state IN ('queued', 'running');
CREATE INDEX score_runs_announcing ON %1$I.score_runs (side, run_id) WHERE announced_to IS NOT NULL;
CREATE INDEX score_runs_as_of ON %1$I.score_runs (as_of) WHERE state = 'published';

-- Results of batches, kept for 90 days: the history.
CREATE TABLE %1$I.score_results (
  run_id       bigint NOT NULL,
  principal_id bigint NOT NULL,
  score        double precision NOT NULL,
  quality      double precision NOT NULL,  -- components, 0 to 1
  position     double precision NOT NULL,
  stability    double precision NOT NULL,
  trust        double precision NOT NULL,
  penalty      double precision NOT NULL,  -- points
  edges        integer NOT NULL,           -- n
  up_1         smallint,                   -- codes of the strongest reasons up and down; null: none
  up_2         smallint,
  down_1       smallint,
  down_2       smallint,
  PRIMARY KEY (run_id, principal_id)
);

-- Results of incrementals, kept for 90 days. `gone`: the principal has no score since then.
CREATE TABLE %1$I.score_updates (
  principal_id bigint NOT NULL,
  as_of        timestamptz NOT NULL,
  gone         boolean NOT NULL DEFAULT false,
  score        double precision NOT NULL DEFAULT 0,
  quality      double precision NOT NULL DEFAULT 0,
  position     double precision NOT NULL DEFAULT 0,
  stability    double precision NOT NULL DEFAULT 0,
  trust        double precision NOT NULL DEFAULT 0,
  penalty      double precision NOT NULL DEFAULT 0,
  edges        integer NOT NULL DEFAULT 0,
  up_1         smallint,
  up_2         smallint,
  down_1       smallint,
  down_2       smallint,
  formula      text NOT NULL DEFAULT 'v1.0',
  stream       text,    -- the request; null: copied
  sequence     bigint,
  computed_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (principal_id, as_of)
);
CREATE INDEX score_updates_as_of ON %1$I.score_updates (as_of);

-- The run that readers see. One row.
CREATE TABLE %1$I.score_current (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  run_id    bigint,                              -- null: nothing was published yet
  as_of     timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO %1$I.score_current DEFAULT VALUES;

-- Each principal's current score: the run's, or an incremental that is newer. Staleness up to 24 h is normal.
CREATE VIEW %1$I.scores AS
SELECT s.principal_id, s.score, s.quality, s.position, s.stability, s.trust, s.penalty, s.edges, s.up_1, s.up_2, s.down_1, s.down_2,
       s.as_of, s.formula, s.stream, s.sequence, s.run_id,
       greatest(extract(epoch FROM now() - s.as_of), 0)::double precision AS stale_seconds
FROM (
  SELECT r.principal_id, r.score, r.quality, r.position, r.stability, r.trust, r.penalty, r.edges, r.up_1, r.up_2, r.down_1, r.down_2,
         c.as_of, n.formula, n.stream, n.sequence, c.run_id
  FROM %1$I.score_current c
  JOIN %1$I.score_runs n ON n.run_id = c.run_id
  JOIN %1$I.score_results r ON r.run_id = c.run_id
  WHERE NOT EXISTS (SELECT FROM %1$I.score_updates u WHERE u.principal_id = r.principal_id AND u.as_of > c.as_of)
  UNION ALL
  SELECT u.principal_id, u.score, u.quality, u.position, u.stability, u.trust, u.penalty, u.edges, u.up_1, u.up_2, u.down_1, u.down_2,
         u.as_of, u.formula, u.stream, u.sequence, NULL
  FROM %1$I.score_current c
  JOIN %1$I.score_updates u ON u.as_of > c.as_of
  WHERE NOT u.gone
    AND NOT EXISTS (SELECT FROM %1$I.score_updates l WHERE l.principal_id = u.principal_id AND l.as_of > u.as_of)) s;

-- What every principal had: published batches and incrementals of the last 90 days.
CREATE VIEW %1$I.score_history AS
SELECT r.principal_id, n.as_of, r.score, r.quality, r.position, r.stability, r.trust, r.penalty, r.edges, n.formula, n.run_id
FROM %1$I.score_runs n JOIN %1$I.score_results r USING (run_id) WHERE n.state = 'published' AND n.official
UNION ALL
SELECT u.principal_id, u.as_of, u.score, u.quality, u.position, u.stability, u.trust, u.penalty, u.edges, u.formula, NULL
FROM %1$I.score_updates u WHERE NOT u.gone;

-- The explanation of a score: four bars in whole percent, the strongest reasons up and down.
CREATE VIEW %1$I.score_explanations AS
SELECT s.principal_id, s.as_of,
       round(100 * s.quality)::integer AS quality_percent, round(100 * s.position)::integer AS position_percent,
       round(100 * s.stability)::integer AS stability_percent, round(100 * s.trust)::integer AS trust_percent,
       s.penalty,
       array_remove(ARRAY[(SELECT reason FROM serving.score_reasons WHERE code = s.up_1),
                          (SELECT reason FROM serving.score_reasons WHERE code = s.up_2)], NULL) AS up,
       array_remove(ARRAY[(SELECT reason FROM serving.score_reasons WHERE code = s.down_1),
                          (SELECT reason FROM serving.score_reasons WHERE code = s.down_2)], NULL) AS down
FROM %1$I.scores s;

-- Publishes a run whose results are complete; the caller holds the shared lock of the worker and has seen that its side owns
-- the request (cutover.hold_request). False: the run was published or given up before, nothing happens. A run that is older
-- than the current one goes to the history only.
CREATE FUNCTION %1$I.publish_score_run(p_run_id bigint, p_attempt integer) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $publish$
DECLARE
  v_as_of timestamptz;
  v_official boolean;
  v_previous bigint;
  v_current bigint;
BEGIN
  UPDATE %1$I.score_runs n SET state = 'published', phase = 'done', finished_at = now(), progressed_at = now(), error = NULL
  WHERE n.run_id = p_run_id AND n.attempt = p_attempt AND n.state = 'running' RETURNING n.as_of, n.official INTO v_as_of, v_official;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  IF v_official THEN
    SELECT c.run_id INTO v_previous FROM %1$I.score_current c FOR UPDATE;
    UPDATE %1$I.score_current c SET run_id = p_run_id, as_of = v_as_of WHERE c.as_of <= v_as_of RETURNING c.run_id INTO v_current;
    UPDATE %1$I.score_runs n SET became_current = true, previous = v_previous WHERE n.run_id = v_current;
  END IF;
  RETURN true;
END $publish$;
$ddl$, v_schema);
  END LOOP;
END $outer$;

-- ---- ownership of a request whose work outlives its batch

-- Takes the worker's shared lock to the end of the transaction and says whose a request is, by the segments of now:
--   serving  whether `p_side` applies it to serving
--   shadow   whether the worker computes it into shadow
-- A request that was settled keeps its owner through every later flip, since a flip begins behind what was settled. Errors:
-- CU001 unknown worker or side, CU002 unknown stream, CU003 wrong isolation level.
CREATE FUNCTION cutover.hold_request(p_worker text, p_side text, p_stream text, p_incarnation integer, p_sequence bigint, p_key text,
  OUT serving boolean, OUT shadow boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_worker_id smallint;
  v_stream_id integer;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'cutover.hold_request needs READ COMMITTED, the transaction is %', upper(current_setting('transaction_isolation'))
      USING ERRCODE = 'CU003', HINT = 'Above it the snapshot is older than the lock, and a change of ownership would be missed.';
  END IF;
  SELECT worker_id INTO v_worker_id FROM cutover.workers WHERE worker = p_worker;
  IF NOT FOUND OR p_side NOT IN ('worker', 'monolith') THEN
    RAISE EXCEPTION 'unknown worker % or side %', quote_nullable(p_worker), quote_nullable(p_side)
      USING ERRCODE = 'CU001', HINT = 'Register the worker: cutover.register_worker(name). The side is worker or monolith.';
  END IF;
  PERFORM pg_advisory_xact_lock_shared(cutover.lock_class_worker(), v_worker_id);
  -- From here each statement has a snapshot younger than the lock.
  SELECT s.stream_id INTO v_stream_id FROM cutover.streams s WHERE s.stream = p_stream AND s.incarnation = p_incarnation;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'unknown stream % of incarnation %', quote_nullable(p_stream), p_incarnation
      USING ERRCODE = 'CU002', HINT = 'A request is settled before its work begins; this one never was.';
  END IF;
  serving := cutover.owned_by_worker(v_worker_id, v_stream_id, p_sequence, p_key, 9223372036854775807) = (p_side = 'worker');
  shadow := p_side = 'worker' AND coalesce(
    (SELECT o.mode IN ('shadow', 'canary') FROM cutover.ownership o
     WHERE o.worker_id = v_worker_id AND o.stream_id = v_stream_id AND o.from_sequence <= p_sequence
     ORDER BY o.epoch DESC LIMIT 1), false);
END $$;

-- ---- who may do what

REVOKE EXECUTE ON FUNCTION cutover.hold_request(text, text, text, integer, bigint, text),
  serving.publish_score_run(bigint, integer), shadow.publish_score_run(bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cutover.hold_request(text, text, text, integer, bigint, text) TO cutover_score_orchestrator, cutover_monolith;
GRANT EXECUTE ON FUNCTION serving.publish_score_run(bigint, integer) TO cutover_score_orchestrator, cutover_monolith;
GRANT EXECUTE ON FUNCTION shadow.publish_score_run(bigint, integer) TO cutover_score_orchestrator;

GRANT USAGE ON SCHEMA shadow TO cutover_score_orchestrator;
GRANT SELECT, INSERT, UPDATE, DELETE ON serving.score_runs, serving.score_results, serving.score_updates,
  shadow.score_runs, shadow.score_results, shadow.score_updates TO cutover_score_orchestrator;
GRANT SELECT, UPDATE ON serving.score_current, shadow.score_current, serving.score_formulas TO cutover_score_orchestrator;
GRANT SELECT, INSERT ON serving.score_formula_checks TO cutover_score_orchestrator;
GRANT SELECT, INSERT, UPDATE, DELETE ON serving.score_runs, serving.score_results, serving.score_updates TO cutover_monolith;
GRANT SELECT, UPDATE ON serving.score_current TO cutover_monolith;
GRANT SELECT, INSERT, UPDATE ON serving.score_formulas TO cutover_operator;
GRANT SELECT ON serving.score_reasons, serving.scores, serving.score_history, serving.score_explanations
  TO cutover_score_orchestrator, cutover_monolith, cutover_operator;
GRANT SELECT ON shadow.scores, shadow.score_history, shadow.score_explanations TO cutover_score_orchestrator, cutover_operator;
GRANT SELECT ON serving.score_formulas TO cutover_monolith;
GRANT SELECT ON serving.score_runs, serving.score_results, serving.score_updates, serving.score_current, serving.score_formula_checks,
  shadow.score_runs, shadow.score_results, shadow.score_updates, shadow.score_current TO cutover_operator;

COMMIT;
