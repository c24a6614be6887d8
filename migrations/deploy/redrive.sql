-- Deploy cutover:redrive to pg
-- requires: ownership
-- What operators do with dead letters: find, replay by sealed plans, hand over, drop, edit, export and import. Each function
-- is one transaction's work and writes the operators' log itself. Letters are locked in the order of claim.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION cutover.schema_version() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 11';

-- Which letters an operator decided to send again. Sealed when it is written: later arrivals are not of it.
CREATE TABLE cutover.replay_plans (
  plan_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  hand_over       boolean NOT NULL,                 -- to whoever owns new events now, instead of the side that failed
  state           text NOT NULL DEFAULT 'sealed' CHECK (state IN ('sealed', 'running', 'stopped', 'done')),
  filter          jsonb NOT NULL,
  letters         bigint NOT NULL DEFAULT 0,
  hash            text NOT NULL DEFAULT '',         -- SHA-256 over its items
  areas           text[] NOT NULL DEFAULT '{}',     -- what it touches that needs a second person
  actor           text NOT NULL,
  login           text NOT NULL DEFAULT session_user,
  reason          text NOT NULL,
  sealed_at       timestamptz NOT NULL DEFAULT now(),
  approved_by     text,
  approved_login  text,
  approved_reason text,
  approved_at     timestamptz,
  run             integer NOT NULL DEFAULT 0,       -- how often it was begun; a run that was killed goes on as the same one
  began_at        timestamptz,                      -- of the latest run
  stopped_because text,
  ended_at        timestamptz
);

CREATE TABLE cutover.replay_items (
  plan_id      bigint NOT NULL REFERENCES cutover.replay_plans,
  position     bigint NOT NULL,                     -- they are sent in this order: as they were published
  letter_id    bigint NOT NULL REFERENCES cutover.dead_letters,
  entries      integer NOT NULL,                    -- of the letter's history when the plan was sealed
  digest       bytea NOT NULL,                      -- SHA-256 of the payload then
  run          integer,                             -- that took it; null: waits
  sent_at      timestamptz,
  publications integer NOT NULL DEFAULT 0,
  outcome      text CHECK (outcome IN ('replayed', 'already applied', 'not addressed', 'failed again', 'handed over', 'seized', 'changed')),
  settled_at   timestamptz,
  PRIMARY KEY (plan_id, position),
  UNIQUE (letter_id, plan_id)
);
CREATE INDEX replay_items_open ON cutover.replay_items (sent_at) WHERE sent_at IS NOT NULL AND outcome IS NULL;

-- A letter that leaves the state replaying, by whatever way, says in its plan how it went.
CREATE FUNCTION cutover.note_outcome() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE cutover.replay_items i
  SET settled_at = now(),
      outcome = CASE NEW.state WHEN 'open' THEN 'failed again' WHEN 'seized' THEN 'seized'
                               ELSE CASE NEW.result WHEN 'applied' THEN 'replayed' ELSE NEW.result END END
  WHERE i.letter_id = NEW.letter_id AND i.plan_id = OLD.plan_id AND i.outcome IS NULL;
  RETURN NULL;
END $$;
CREATE TRIGGER note_outcome AFTER UPDATE OF state ON cutover.dead_letters
  FOR EACH ROW WHEN (OLD.state = 'replaying' AND NEW.state <> 'replaying') EXECUTE FUNCTION cutover.note_outcome();

-- The letters of serving that a filter names; fields compose, an absent one does not restrict:
--   {"worker", "lane", "kind", "group", "event", "key", "state", "stream", "since", "until", "letters": [id], "plan"}
--   since, until  of the last failure, the latter not included
CREATE FUNCTION cutover.letters(p_filter jsonb) RETURNS SETOF cutover.dead_letters
LANGUAGE sql STABLE AS $$
  SELECT d.* FROM cutover.dead_letters d
  WHERE NOT d.shadow
    AND (p_filter ->> 'state' IS NULL OR d.state = p_filter ->> 'state')
    AND (p_filter ->> 'worker' IS NULL OR d.worker_id = (SELECT w.worker_id FROM cutover.workers w WHERE w.worker = p_filter ->> 'worker'))
    AND (p_filter ->> 'lane' IS NULL OR d.lane = p_filter ->> 'lane')
    AND (p_filter ->> 'kind' IS NULL OR d.kind = p_filter ->> 'kind')
    AND (p_filter ->> 'group' IS NULL OR d.group_id = p_filter ->> 'group')
    AND (p_filter ->> 'event' IS NULL OR d.event_name = p_filter ->> 'event')
    AND (p_filter ->> 'key' IS NULL OR d.key = p_filter ->> 'key')
    AND (p_filter ->> 'stream' IS NULL OR d.stream_id IN (SELECT s.stream_id FROM cutover.streams s WHERE s.stream = p_filter ->> 'stream'))
    AND (p_filter ->> 'since' IS NULL OR d.last_failed_at >= (p_filter ->> 'since')::timestamptz)
    AND (p_filter ->> 'until' IS NULL OR d.last_failed_at < (p_filter ->> 'until')::timestamptz)
    AND (p_filter ->> 'plan' IS NULL OR d.letter_id IN (SELECT i.letter_id FROM cutover.replay_items i WHERE i.plan_id = (p_filter ->> 'plan')::bigint))
    AND (p_filter -> 'letters' IS NULL OR d.letter_id = ANY (ARRAY(SELECT jsonb_array_elements_text(p_filter -> 'letters'))::bigint[]))
$$;

-- What a replay of this event touches that one person does not decide alone; null: nothing.
CREATE FUNCTION cutover.guarded_area(p_worker text, p_subject text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE WHEN p_worker = 'dispute-processor' OR p_subject ~ '(^|[._])dispute|^security[.]case_' THEN 'disputes'
              WHEN p_worker = 'score-orchestrator' OR p_subject LIKE 'score.%' THEN 'scores'
              WHEN p_subject LIKE 'identity.%' THEN 'identity' END
$$;

-- Freezes the open letters that a filter names now, the oldest p_limit of them (null: all), in the order in which they were
-- published; returns the plan. Error: CU007 no letter.
CREATE FUNCTION cutover.seal_replay(p_filter jsonb, p_limit bigint, p_hand_over boolean, p_actor text, p_reason text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_plan bigint;
  v_letters bigint;
  v_hash text;
  v_areas text[];
  v_workers text[];
BEGIN
  INSERT INTO cutover.replay_plans (hand_over, filter, actor, login, reason)
  VALUES (p_hand_over, p_filter, p_actor, session_user, p_reason) RETURNING plan_id INTO v_plan;
  -- A broker's clock may step back: within a stream the sequence decides.
  INSERT INTO cutover.replay_items (plan_id, position, letter_id, entries, digest)
  SELECT v_plan, row_number() OVER (ORDER BY l.at, l.stream_id, l.sequence, l.letter_id), l.letter_id, l.entries, l.digest
  FROM (SELECT d.letter_id, d.stream_id, d.sequence, jsonb_array_length(d.history) AS entries, sha256(d.payload) AS digest,
               max(d.published_at) OVER (PARTITION BY d.stream_id ORDER BY d.sequence, d.letter_id) AS at
        FROM cutover.letters(p_filter || '{"state": "open"}') d) l
  ORDER BY 2 LIMIT p_limit;
  SELECT count(*), encode(sha256(convert_to(string_agg(i.letter_id || ' ' || i.entries || ' ' || encode(i.digest, 'hex'), E'\n' ORDER BY i.position), 'UTF8')), 'hex'),
         coalesce(array_agg(DISTINCT cutover.guarded_area(w.worker, d.subject)) FILTER (WHERE cutover.guarded_area(w.worker, d.subject) IS NOT NULL), '{}'),
         array_agg(DISTINCT w.worker)
  INTO v_letters, v_hash, v_areas, v_workers
  FROM cutover.replay_items i JOIN cutover.dead_letters d USING (letter_id) JOIN cutover.workers w USING (worker_id) WHERE i.plan_id = v_plan;
  IF v_letters = 0 THEN
    RAISE EXCEPTION 'no open dead letter matches' USING ERRCODE = 'CU007';
  END IF;
  UPDATE cutover.replay_plans p SET letters = v_letters, hash = v_hash, areas = v_areas WHERE p.plan_id = v_plan;
  PERFORM cutover.log_operation(p_actor, 'dlq replay --plan', CASE WHEN cardinality(v_workers) = 1 THEN v_workers[1] END,
    jsonb_build_object('filter', p_filter, 'limit', p_limit, 'to_owner', p_hand_over), p_reason, NULL, 'done',
    jsonb_build_object('plan', v_plan, 'letters', v_letters, 'hash', v_hash, 'needs_approval_for', v_areas));
  RETURN v_plan;
END $$;

-- The second person's consent. Errors: CU006 the same login as the plan's, CU007 unknown plan, or nothing to approve.
CREATE FUNCTION cutover.approve_replay(p_plan bigint, p_actor text, p_reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_plan cutover.replay_plans;
BEGIN
  SELECT * INTO v_plan FROM cutover.replay_plans WHERE plan_id = p_plan FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no plan %', p_plan USING ERRCODE = 'CU007';
  ELSIF v_plan.areas = '{}' OR v_plan.approved_at IS NOT NULL OR v_plan.state = 'done' THEN
    RAISE EXCEPTION 'plan % %', p_plan, CASE WHEN v_plan.state = 'done' THEN 'is done'
      WHEN v_plan.areas = '{}' THEN 'needs no approval' ELSE 'was approved by ' || v_plan.approved_login END USING ERRCODE = 'CU007';
  ELSIF v_plan.login = session_user THEN
    RAISE EXCEPTION 'plan % was sealed by the database login %, which is yours: another operator must approve it', p_plan, v_plan.login
      USING ERRCODE = 'CU006';
  END IF;
  UPDATE cutover.replay_plans SET approved_by = p_actor, approved_login = session_user, approved_reason = p_reason, approved_at = now()
  WHERE plan_id = p_plan;
  PERFORM cutover.log_operation(p_actor, 'dlq approve', NULL, jsonb_build_object('plan', p_plan), p_reason, NULL, 'done',
    jsonb_build_object('letters', v_plan.letters, 'hash', v_plan.hash, 'areas', v_plan.areas));
END $$;

-- Begins a plan, or goes on with the run that was cut off; returns the run. Errors: CU006 not approved, CU007 unknown or done.
CREATE FUNCTION cutover.begin_replay(p_plan bigint, p_actor text, p_reason text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_plan cutover.replay_plans;
BEGIN
  SELECT * INTO v_plan FROM cutover.replay_plans WHERE plan_id = p_plan FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no plan %', p_plan USING ERRCODE = 'CU007';
  ELSIF v_plan.state = 'done' THEN
    RAISE EXCEPTION 'plan % is done', p_plan USING ERRCODE = 'CU007';
  ELSIF v_plan.areas <> '{}' AND (v_plan.approved_login IS NULL OR v_plan.approved_login = v_plan.login) THEN
    RAISE EXCEPTION 'plan % touches %: another operator must approve it first', p_plan, array_to_string(v_plan.areas, ' and ')
      USING ERRCODE = 'CU006';
  END IF;
  IF v_plan.state <> 'running' THEN
    UPDATE cutover.replay_plans SET state = 'running', run = run + 1, began_at = now(), stopped_because = NULL, ended_at = NULL
    WHERE plan_id = p_plan;
    v_plan.run := v_plan.run + 1;
  END IF;
  PERFORM cutover.log_operation(p_actor, 'dlq replay --execute', NULL, jsonb_build_object('plan', p_plan), p_reason, NULL, 'started',
    jsonb_build_object('run', v_plan.run, 'letters', v_plan.letters, 'resumed', v_plan.state = 'running'));
  RETURN v_plan.run;
END $$;

-- Takes the next p_limit letters of a running plan. Those that are still as they were sealed are sent: to the side that owns
-- their place, or, handed over, to whoever owns new events now. The others are passed over as changed.
--   p_taken  how many this run has taken so far: of two processes that execute one plan only one goes on
-- Error: CU007 the run was ended, or another process takes part in it.
CREATE FUNCTION cutover.send_replay(p_plan bigint, p_run integer, p_taken bigint, p_limit bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_plan cutover.replay_plans;
  v_letters bigint[];
  v_send bigint[];
BEGIN
  SELECT * INTO v_plan FROM cutover.replay_plans WHERE plan_id = p_plan FOR UPDATE;
  IF v_plan.state IS DISTINCT FROM 'running' OR v_plan.run <> p_run
     OR p_taken <> (SELECT count(*) FROM cutover.replay_items i WHERE i.plan_id = p_plan AND i.run = p_run) THEN
    RAISE EXCEPTION 'plan % is being executed by another process, or was ended', p_plan USING ERRCODE = 'CU007';
  END IF;
  SELECT array_agg(n.letter_id) INTO v_letters
  FROM (SELECT i.letter_id FROM cutover.replay_items i WHERE i.plan_id = p_plan AND i.run IS NULL ORDER BY i.position LIMIT p_limit) n;
  IF v_letters IS NULL THEN
    RETURN 0;
  END IF;
  PERFORM FROM cutover.dead_letters d WHERE d.letter_id = ANY (v_letters)
  ORDER BY d.worker_id, d.stream_id, d.sequence, d.event_hash FOR UPDATE;
  -- From here the letters stand still.
  SELECT array_agg(i.letter_id) INTO v_send
  FROM cutover.replay_items i JOIN cutover.dead_letters d USING (letter_id)
  WHERE i.plan_id = p_plan AND i.letter_id = ANY (v_letters)
    AND d.state = 'open' AND jsonb_array_length(d.history) = i.entries AND sha256(d.payload) = i.digest;
  v_send := coalesce(v_send, '{}');
  UPDATE cutover.replay_items i SET run = p_run, outcome = 'changed', settled_at = now()
  WHERE i.plan_id = p_plan AND i.letter_id = ANY (v_letters) AND i.letter_id <> ALL (v_send);
  UPDATE cutover.dead_letters d SET state = CASE WHEN v_plan.hand_over THEN 'handed over' ELSE 'replaying' END, plan_id = p_plan, result = NULL
  WHERE d.letter_id = ANY (v_send);
  IF v_plan.hand_over THEN
    UPDATE cutover.replay_items i SET run = p_run, sent_at = now(), publications = 1, outcome = 'handed over', settled_at = now()
    WHERE i.plan_id = p_plan AND i.letter_id = ANY (v_send);
    PERFORM cutover.free_marks(v_send);
    INSERT INTO cutover.outbox (message_id, subject, key, payload, headers, priority, worker_id)
    SELECT cutover.replay_id(p_plan, s.stream, d.sequence, d.letter_id, 1), d.subject, d.key, d.payload,
           cutover.copy_headers((SELECT jsonb_object_agg(h ->> 0, h ->> 1) FROM jsonb_array_elements(d.headers) h
                                 WHERE h ->> 0 IN ('traceparent', 'tracestate') AND h ->> 1 IS NOT NULL),
                                w.worker, s.stream, s.incarnation, d.sequence), 7, d.worker_id
    FROM cutover.replay_items i JOIN cutover.dead_letters d USING (letter_id) JOIN cutover.streams s USING (stream_id) JOIN cutover.workers w USING (worker_id)
    WHERE i.plan_id = p_plan AND i.letter_id = ANY (v_send) ORDER BY i.position;
    INSERT INTO cutover.copies (stream, published_at)
    SELECT s.stream, min(d.published_at) FROM cutover.dead_letters d JOIN cutover.streams s USING (stream_id)
    WHERE d.letter_id = ANY (v_send) GROUP BY s.stream;
  ELSE
    UPDATE cutover.replay_items i SET run = p_run WHERE i.plan_id = p_plan AND i.letter_id = ANY (v_send);
    PERFORM cutover.publish_replays(p_plan, v_send);
  END IF;
  PERFORM pg_notify('cutover_outbox', '');
  RETURN cardinality(v_letters);
END $$;

-- Writes letters that are being replayed to the outbox, for stream REPLAY: their bytes and headers, and what names their place.
-- They go behind what is live. (Nobody's effect: no audit looks for them in a stream that forgets what was worked on.)
CREATE FUNCTION cutover.publish_replays(p_plan bigint, p_letters bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE cutover.replay_items i SET sent_at = now(), publications = i.publications + 1
  WHERE i.plan_id = p_plan AND i.letter_id = ANY (p_letters);
  INSERT INTO cutover.outbox (message_id, subject, key, payload, headers, priority)
  SELECT cutover.replay_id(p_plan, s.stream, d.sequence, d.letter_id, i.publications),
         format('replay.%s.%s.%s', w.worker, CASE WHEN cutover.owned_by_worker(d.worker_id, d.stream_id, d.sequence, d.key, 9223372036854775807)
                                                  THEN 'worker' ELSE 'monolith' END, d.lane),
         d.key, d.payload,
         coalesce((SELECT jsonb_agg(h ORDER BY o) FROM jsonb_array_elements(d.headers) WITH ORDINALITY u (h, o)
                   WHERE h ->> 0 !~* '^(Nats-|Cutover-(Key|Plan|Origin-))'), '[]')
           || jsonb_build_array(
             jsonb_build_array('Cutover-Plan', p_plan::text), jsonb_build_array('Cutover-Origin-Stream', s.stream),
             jsonb_build_array('Cutover-Origin-Incarnation', s.incarnation::text), jsonb_build_array('Cutover-Origin-Sequence', d.sequence::text),
             jsonb_build_array('Cutover-Origin-Subject', d.subject), jsonb_build_array('Cutover-Origin-Event-Id', d.event_id),
             jsonb_build_array('Cutover-Origin-Time', to_char(d.published_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))),
         7
  FROM cutover.replay_items i JOIN cutover.dead_letters d USING (letter_id) JOIN cutover.streams s USING (stream_id) JOIN cutover.workers w USING (worker_id)
  WHERE i.plan_id = p_plan AND i.letter_id = ANY (p_letters) ORDER BY i.position;
END $$;

-- Nats-Msg-Id of a replay. (Two workers, or two lives of a stream, may have a letter at one sequence.)
CREATE FUNCTION cutover.replay_id(p_plan bigint, p_stream text, p_sequence bigint, p_letter bigint, p_publication integer) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT format('replay:%s:%s:%s:%s', p_plan, p_stream, p_sequence, p_letter) || CASE WHEN p_publication > 1 THEN ':' || p_publication ELSE '' END
$$;

-- Publishes again what has been replaying for longer than p_after, twice as long after each time: the claim makes that
-- harmless. At most p_limit letters; returns how many.
CREATE FUNCTION cutover.republish_replays(p_after interval, p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_late bigint[];
  v_plan bigint;
  v_letters bigint[];
  v_count bigint := 0;
BEGIN
  SELECT array_agg(l.letter_id) INTO v_late FROM (
    SELECT i.letter_id FROM cutover.replay_items i
    WHERE i.sent_at < now() - p_after AND i.outcome IS NULL AND i.sent_at < now() - p_after * power(2, least(i.publications, 10) - 1)
    ORDER BY i.sent_at LIMIT p_limit) l;
  IF v_late IS NULL THEN
    RETURN 0;
  END IF;
  -- What somebody works on at this moment is not late; what waits in the outbox has not left yet.
  FOR v_plan, v_letters IN
    SELECT d.plan_id, array_agg(d.letter_id)
    FROM (SELECT l.* FROM cutover.dead_letters l WHERE l.letter_id = ANY (v_late) AND l.state = 'replaying' FOR UPDATE SKIP LOCKED) d
    JOIN cutover.replay_items i ON i.letter_id = d.letter_id AND i.plan_id = d.plan_id AND i.outcome IS NULL
    JOIN cutover.streams s USING (stream_id)
    WHERE NOT EXISTS (SELECT FROM cutover.outbox o WHERE o.key = d.key AND coalesce(o.published_at, o.available_at) IS NULL
                      AND o.message_id = cutover.replay_id(d.plan_id, s.stream, d.sequence, d.letter_id, i.publications))
    GROUP BY d.plan_id ORDER BY d.plan_id
  LOOP
    PERFORM cutover.publish_replays(v_plan, v_letters);
    v_count := v_count + cardinality(v_letters);
  END LOOP;
  IF v_count > 0 THEN
    PERFORM pg_notify('cutover_outbox', '');
  END IF;
  RETURN v_count;
END $$;

-- How far a plan is, as one document:
--   letters, taken (by any run), run, state; outcomes {name: count}, with "in flight" and "waiting"
--   this_run {"taken", "settled", "failed"}
--   failing  groups whose letters failed again in this run, the biggest three: [{"group", "worker", "lane", "kind", "error", "count"}]
CREATE FUNCTION cutover.replay_progress(p_plan bigint) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  WITH items AS MATERIALIZED (
    SELECT i.letter_id, i.run = p.run AS this_run, i.outcome,
           coalesce(i.outcome, CASE WHEN i.run IS NULL THEN 'waiting' ELSE 'in flight' END) AS status
    FROM cutover.replay_plans p JOIN cutover.replay_items i USING (plan_id) WHERE p.plan_id = p_plan)
  SELECT jsonb_build_object(
    'plan', p.plan_id, 'state', p.state, 'run', p.run, 'letters', p.letters,
    'taken', (SELECT count(*) FROM items WHERE status <> 'waiting'),
    'outcomes', (SELECT coalesce(jsonb_object_agg(status, n), '{}') FROM (SELECT status, count(*) AS n FROM items GROUP BY status) c),
    'this_run', (SELECT jsonb_build_object('taken', count(*), 'settled', count(*) FILTER (WHERE outcome <> 'changed'),
                                           'failed', count(*) FILTER (WHERE outcome = 'failed again'),
                                           'in_flight', count(*) FILTER (WHERE outcome IS NULL))
                 FROM items WHERE this_run),
    'failing', (SELECT coalesce(jsonb_agg(f), '[]') FROM (
       SELECT d.group_id AS "group", w.worker, d.lane, d.kind, d.error_group AS error, count(*) AS count
       FROM items JOIN cutover.dead_letters d USING (letter_id) JOIN cutover.workers w USING (worker_id)
       WHERE this_run AND outcome = 'failed again' GROUP BY 1, 2, 3, 4, 5 ORDER BY count(*) DESC, 1 LIMIT 3) f),
    'stopped_because', p.stopped_because)
  FROM cutover.replay_plans p WHERE p.plan_id = p_plan
$$;

-- Ends a run: done when nothing is left, else stopped, which a later run goes on from. Returns the state.
CREATE FUNCTION cutover.end_replay(p_plan bigint, p_run integer, p_because text, p_actor text, p_reason text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_state text;
BEGIN
  UPDATE cutover.replay_plans p
  SET state = CASE WHEN EXISTS (SELECT FROM cutover.replay_items i WHERE i.plan_id = p_plan AND i.outcome IS NULL) THEN 'stopped' ELSE 'done' END,
      stopped_because = p_because, ended_at = now()
  WHERE p.plan_id = p_plan AND p.run = p_run AND p.state = 'running' RETURNING p.state INTO v_state;
  IF v_state IS NOT NULL THEN
    PERFORM cutover.log_operation(p_actor, 'dlq replay --execute', NULL, jsonb_build_object('plan', p_plan), p_reason, NULL, v_state,
      cutover.replay_progress(p_plan));
  END IF;
  RETURN v_state;
END $$;

-- Gives letters up for good: they keep their marks, so that nobody applies them, and what waits for their versions goes on.
-- Those that are not open are passed over. Returns how many were dropped.
--   p_version  the subject's, of one letter that does not tell it; null else
CREATE FUNCTION cutover.drop_letters(p_letters bigint[], p_version bigint, p_actor text, p_reason text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_dropped bigint[];
BEGIN
  PERFORM FROM cutover.dead_letters d WHERE d.letter_id = ANY (p_letters)
  ORDER BY d.worker_id, d.stream_id, d.sequence, d.event_hash FOR UPDATE;
  WITH dropped AS (
    UPDATE cutover.dead_letters d
    SET state = 'dropped', result = NULL,
        history = d.history || jsonb_build_object('at', now(), 'dropped_by', p_actor, 'login', session_user, 'reason', p_reason)
    WHERE d.letter_id = ANY (p_letters) AND d.state = 'open' AND NOT d.shadow RETURNING d.letter_id)
  SELECT coalesce(array_agg(letter_id), '{}') INTO v_dropped FROM dropped;
  -- The mark of a second copy is held elsewhere, and so is its version.
  PERFORM cutover.pass_version(k.worker, k.key, k.version) FROM (
    SELECT DISTINCT w.worker, d.key, coalesce(nullif(d.version, 0), p_version) AS version
    FROM cutover.dead_letters d JOIN cutover.workers w USING (worker_id)
    LEFT JOIN LATERAL (
      SELECT true AS yes FROM (SELECT * FROM cutover.marks UNION ALL SELECT * FROM cutover.marks_0 UNION ALL SELECT * FROM cutover.marks_1) m
      WHERE m.key = cutover.mark_key('v', d.worker_id, d.tenant_scope || E'\x1f' || d.idempotency_key)
        AND m.stream_id = d.stream_id AND m.sequence = d.sequence) held ON true
    WHERE d.letter_id = ANY (v_dropped) AND w.ordered AND coalesce(nullif(d.version, 0), p_version) > 0
      AND (held.yes OR d.idempotency_key = '')
    ORDER BY 1, 2, 3) k;
  PERFORM cutover.log_operation(p_actor, 'dlq drop', (SELECT min(w.worker) FROM cutover.dead_letters d JOIN cutover.workers w USING (worker_id)
      WHERE d.letter_id = ANY (v_dropped) HAVING count(DISTINCT w.worker) = 1),
    jsonb_build_object('letters', cardinality(p_letters), 'version', p_version), p_reason, NULL, 'done',
    jsonb_build_object('dropped', cardinality(v_dropped), 'letters', to_jsonb(v_dropped)));
  RETURN cardinality(v_dropped);
END $$;

-- Replaces what a replay of this letter sends; the original stays beside it and is not sent any more. The caller has parsed
-- the new payload: what of the event could be read before must be as it was.
--   p_entries  of its history when the caller read it
--   p_changes  for the log: what of the payload is different
-- Errors: CU007 not open, or changed meanwhile; CU008 it would be another event.
CREATE FUNCTION cutover.edit_letter(
  p_letter bigint, p_entries integer, p_payload bytea, p_event_id text, p_event_name text, p_key text, p_tenant_scope text,
  p_idempotency_key text, p_version bigint, p_changes jsonb, p_actor text, p_reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_letter cutover.dead_letters;
  v_differs text;
BEGIN
  SELECT * INTO v_letter FROM cutover.dead_letters WHERE letter_id = p_letter AND NOT shadow FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no dead letter %', p_letter USING ERRCODE = 'CU007';
  ELSIF v_letter.state <> 'open' OR jsonb_array_length(v_letter.history) <> p_entries THEN
    RAISE EXCEPTION 'dead letter % is %', p_letter, CASE WHEN v_letter.state <> 'open' THEN v_letter.state ELSE 'not as it was: it failed or was edited meanwhile' END
      USING ERRCODE = 'CU007';
  END IF;
  v_differs := CASE
    WHEN v_letter.key NOT IN ('', p_key) THEN 'subject.subject_id'
    WHEN v_letter.version NOT IN (0, p_version) THEN 'subject.version'
    WHEN v_letter.idempotency_key <> '' AND v_letter.event_id <> p_event_id THEN 'event_id'
    WHEN v_letter.idempotency_key NOT IN ('', p_idempotency_key) THEN 'idempotency_key'
    WHEN v_letter.idempotency_key <> '' AND v_letter.tenant_scope <> p_tenant_scope THEN 'tenant_scope' END;
  IF v_differs IS NOT NULL THEN
    RAISE EXCEPTION '% is not as it was received: that would be another event', v_differs USING ERRCODE = 'CU008';
  END IF;
  UPDATE cutover.dead_letters d
  SET payload = p_payload, original = coalesce(d.original, d.payload), event_name = p_event_name, key = p_key, tenant_scope = p_tenant_scope,
      idempotency_key = p_idempotency_key, version = p_version,
      history = d.history || jsonb_build_object('at', now(), 'edited_by', p_actor, 'login', session_user, 'reason', p_reason)
  WHERE d.letter_id = p_letter;
  PERFORM cutover.log_operation(p_actor, 'dlq edit', (SELECT worker FROM cutover.workers WHERE worker_id = v_letter.worker_id),
    jsonb_build_object('letter', p_letter), p_reason, NULL, 'done',
    jsonb_build_object('changes', p_changes, 'before', encode(sha256(v_letter.payload), 'hex'), 'after', encode(sha256(p_payload), 'hex')));
END $$;

-- A letter as a line of an export file: everything that import_letters needs to write it elsewhere.
CREATE FUNCTION cutover.letter_document(p_letter cutover.dead_letters) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT jsonb_build_object(
    'cutover_dead_letter', 1, 'worker', w.worker, 'stream', s.stream, 'incarnation', s.incarnation, 'stream_created_at', s.created_at,
    'sequence', p_letter.sequence, 'state', p_letter.state, 'lane', p_letter.lane, 'side', p_letter.side, 'subject', p_letter.subject,
    'event_id', p_letter.event_id, 'event_name', p_letter.event_name, 'key', p_letter.key, 'tenant_scope', p_letter.tenant_scope,
    'idempotency_key', p_letter.idempotency_key, 'version', p_letter.version, 'kind', p_letter.kind, 'error', p_letter.error,
    'error_group', p_letter.error_group, 'attempts', p_letter.attempts, 'first_failed_at', p_letter.first_failed_at,
    'last_failed_at', p_letter.last_failed_at, 'history', p_letter.history, 'published_at', p_letter.published_at,
    'headers', p_letter.headers, 'payload', translate(encode(p_letter.payload, 'base64'), E'\n', ''),
    'original', translate(encode(p_letter.original, 'base64'), E'\n', ''))
  FROM cutover.workers w, cutover.streams s WHERE w.worker_id = p_letter.worker_id AND s.stream_id = p_letter.stream_id
$$;

-- Writes exported letters (an array of letter_document) as open ones. One that was dropped here is opened again as it is here;
-- one that is here in any other state is passed over. A letter of a life of a stream that this database does not know gets a
-- life of its own, numbered below 0, so that its place is nobody else's; it is owned as new events are now.
--   returns  {"imported", "opened_again", "already_here"}; the same for a dry run, which changes nothing
-- Error: CU001 unknown worker.
CREATE FUNCTION cutover.import_letters(p_documents jsonb, p_actor text, p_reason text, p_dry_run boolean) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_item record;
  v_imported bigint;
  v_opened bigint;
  v_here bigint;
BEGIN
  SELECT d ->> 'worker' AS worker INTO v_item FROM jsonb_array_elements(p_documents) d
  WHERE NOT EXISTS (SELECT FROM cutover.workers w WHERE w.worker = d ->> 'worker') LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'unknown worker %', quote_nullable(v_item.worker) USING ERRCODE = 'CU001';
  END IF;
  IF NOT p_dry_run THEN
    LOCK TABLE cutover.streams IN SHARE ROW EXCLUSIVE MODE;  -- two imports must not number one life twice
    INSERT INTO cutover.streams (stream, incarnation, created_at)
    SELECT l.stream, least((SELECT min(s.incarnation) FROM cutover.streams s WHERE s.stream = l.stream), 0)
                     - row_number() OVER (PARTITION BY l.stream ORDER BY l.created_at), l.created_at
    FROM (SELECT DISTINCT d ->> 'stream' AS stream, (d ->> 'stream_created_at')::timestamptz AS created_at FROM jsonb_array_elements(p_documents) d) l
    WHERE NOT EXISTS (SELECT FROM cutover.streams s WHERE s.stream = l.stream AND s.created_at = l.created_at);
    -- The newest decision about the worker holds for such a life, too.
    INSERT INTO cutover.ownership (worker_id, epoch, stream_id, from_sequence, mode, percent, actor, reason, at)
    SELECT DISTINCT ON (o.worker_id, s.stream_id) o.worker_id, o.epoch, s.stream_id, 0, o.mode, o.percent, o.actor, o.reason, o.at
    FROM jsonb_array_elements(p_documents) d
    JOIN cutover.streams s ON s.stream = d ->> 'stream' AND s.created_at = (d ->> 'stream_created_at')::timestamptz AND s.incarnation < 0
    JOIN cutover.workers w ON w.worker = d ->> 'worker' JOIN cutover.ownership o ON o.worker_id = w.worker_id
    WHERE NOT EXISTS (SELECT FROM cutover.ownership k WHERE k.worker_id = w.worker_id AND k.stream_id = s.stream_id)
    ORDER BY o.worker_id, s.stream_id, o.epoch DESC, o.from_sequence DESC;
  END IF;
  SELECT count(*) FILTER (WHERE h.letter_id IS NULL), count(*) FILTER (WHERE h.state = 'dropped'), count(*) FILTER (WHERE h.state <> 'dropped')
  INTO v_imported, v_opened, v_here
  FROM (SELECT DISTINCT ON (w.worker_id, d ->> 'stream', d ->> 'stream_created_at', d ->> 'sequence', d ->> 'event_id')
               w.worker_id, s.stream_id, (d ->> 'sequence')::bigint AS sequence, cutover.event_hash(d ->> 'event_id') AS event_hash
        FROM jsonb_array_elements(p_documents) d JOIN cutover.workers w ON w.worker = d ->> 'worker'
        LEFT JOIN cutover.streams s ON s.stream = d ->> 'stream' AND s.created_at = (d ->> 'stream_created_at')::timestamptz) u
  LEFT JOIN cutover.dead_letters h ON h.worker_id = u.worker_id AND h.stream_id = u.stream_id AND h.sequence = u.sequence
    AND h.event_hash = u.event_hash AND NOT h.shadow;
  IF p_dry_run THEN
    RETURN jsonb_build_object('imported', v_imported, 'opened_again', v_opened, 'already_here', v_here);
  END IF;
  INSERT INTO cutover.dead_letters AS h (worker_id, stream_id, sequence, shadow, event_hash, lane, side, subject, event_id, event_name, key,
    tenant_scope, idempotency_key, version, kind, error, error_group, attempts, first_failed_at, last_failed_at, history, published_at,
    headers, payload, original)
  SELECT DISTINCT ON (w.worker_id, s.stream_id, (d ->> 'sequence')::bigint, d ->> 'event_id')
    w.worker_id, s.stream_id, (d ->> 'sequence')::bigint, false, cutover.event_hash(d ->> 'event_id'), d ->> 'lane', d ->> 'side', d ->> 'subject',
    d ->> 'event_id', d ->> 'event_name', d ->> 'key', d ->> 'tenant_scope', d ->> 'idempotency_key', (d ->> 'version')::bigint, d ->> 'kind',
    d ->> 'error', d ->> 'error_group', (d ->> 'attempts')::integer, (d ->> 'first_failed_at')::timestamptz, (d ->> 'last_failed_at')::timestamptz,
    d -> 'history' || jsonb_build_object('at', now(), 'imported_by', p_actor, 'login', session_user, 'reason', p_reason),
    (d ->> 'published_at')::timestamptz, d -> 'headers', decode(d ->> 'payload', 'base64'), decode(d ->> 'original', 'base64')
  FROM jsonb_array_elements(p_documents) d JOIN cutover.workers w ON w.worker = d ->> 'worker'
  JOIN cutover.streams s ON s.stream = d ->> 'stream' AND s.created_at = (d ->> 'stream_created_at')::timestamptz
  ORDER BY 1, 2, 3, d ->> 'event_id'
  ON CONFLICT (worker_id, stream_id, sequence, shadow, event_hash) DO UPDATE
    SET state = 'open', result = NULL,
        history = h.history || jsonb_build_object('at', now(), 'imported_by', p_actor, 'login', session_user, 'reason', p_reason)
    WHERE h.state = 'dropped';
  PERFORM cutover.log_operation(p_actor, 'dlq import', NULL, jsonb_build_object('letters', jsonb_array_length(p_documents)), p_reason, NULL, 'done',
    jsonb_build_object('imported', v_imported, 'opened_again', v_opened, 'already_here', v_here));
  RETURN jsonb_build_object('imported', v_imported, 'opened_again', v_opened, 'already_here', v_here);
END $$;

REVOKE EXECUTE ON FUNCTION cutover.note_outcome(), cutover.letters(jsonb), cutover.guarded_area(text, text),
  cutover.seal_replay(jsonb, bigint, boolean, text, text), cutover.approve_replay(bigint, text, text), cutover.begin_replay(bigint, text, text),
  cutover.send_replay(bigint, integer, bigint, bigint), cutover.publish_replays(bigint, bigint[]),
  cutover.replay_id(bigint, text, bigint, bigint, integer), cutover.republish_replays(interval, integer), cutover.replay_progress(bigint),
  cutover.end_replay(bigint, integer, text, text, text), cutover.drop_letters(bigint[], bigint, text, text),
  cutover.edit_letter(bigint, integer, bytea, text, text, text, text, text, bigint, jsonb, text, text),
  cutover.letter_document(cutover.dead_letters), cutover.import_letters(jsonb, text, text, boolean) FROM PUBLIC;
GRANT SELECT ON cutover.replay_plans, cutover.replay_items TO cutover_operator, cutover_worker, cutover_monolith;
GRANT EXECUTE ON FUNCTION cutover.letters(jsonb), cutover.guarded_area(text, text),
  cutover.seal_replay(jsonb, bigint, boolean, text, text), cutover.approve_replay(bigint, text, text), cutover.begin_replay(bigint, text, text),
  cutover.send_replay(bigint, integer, bigint, bigint), cutover.replay_progress(bigint),
  cutover.end_replay(bigint, integer, text, text, text), cutover.drop_letters(bigint[], bigint, text, text),
  cutover.edit_letter(bigint, integer, bytea, text, text, text, text, text, bigint, jsonb, text, text),
  cutover.letter_document(cutover.dead_letters), cutover.import_letters(jsonb, text, text, boolean) TO cutover_operator;
GRANT EXECUTE ON FUNCTION cutover.republish_replays(interval, integer) TO cutover_operator, cutover_worker;

COMMIT;
