-- Deploy cutover:ownership to pg
-- requires: upkeep search
-- Changes of ownership: what an operator's commands do while they hold the worker's exclusive lock, and the log of it.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION cutover.schema_version() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 8';

-- What operators did, and what they tried.
CREATE TABLE cutover.operator_log (
  log_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at        timestamptz NOT NULL DEFAULT now(),
  actor     text NOT NULL,                          -- who says so
  login     text NOT NULL DEFAULT session_user,     -- of the database
  command   text NOT NULL,                          -- reverse
  worker    text,
  arguments jsonb NOT NULL DEFAULT '{}',
  reason    text NOT NULL,
  forced    text[] NOT NULL DEFAULT '{}',           -- guards that were overridden
  result    text NOT NULL,                          -- done | refused | failed
  detail    jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX operator_log_worker ON cutover.operator_log (worker, log_id);

-- How worker and monolith compared, newest last; read by the guard `parity`.
CREATE TABLE cutover.parity_verdicts (
  worker         text NOT NULL,
  at             timestamptz NOT NULL DEFAULT now(),
  verdict        text NOT NULL CHECK (verdict IN ('ok', 'different', 'inconclusive')),
  samples        bigint NOT NULL,
  build          text NOT NULL,
  formula        text,                              -- version of the worker's formula; null: it has none
  schema_version integer NOT NULL,
  detail         jsonb NOT NULL DEFAULT '{}',
  PRIMARY KEY (worker, at)
);

-- How long a worker's batches took, in shadow too: what the watch compares a switch with. Kept for some days.
CREATE TABLE cutover.batch_times (
  worker_id smallint NOT NULL REFERENCES cutover.workers,
  at        timestamptz NOT NULL DEFAULT now(),
  instance  text NOT NULL,
  batches   bigint NOT NULL,            -- since the row before, and
  seconds   double precision NOT NULL,  -- of all of them, begin to commit
  PRIMARY KEY (worker_id, at, instance)
);

-- History is written once, whoever asks.
CREATE FUNCTION cutover.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'insufficient_privilege', HINT = 'Append what holds from now on.';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON cutover.operator_log
  FOR EACH STATEMENT EXECUTE FUNCTION cutover.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON cutover.ownership
  FOR EACH STATEMENT EXECUTE FUNCTION cutover.refuse_change();

CREATE FUNCTION cutover.require_read_committed() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'a change of ownership needs READ COMMITTED, the transaction is %', upper(current_setting('transaction_isolation'))
      USING ERRCODE = 'CU003', HINT = 'Above it the snapshot is older than the lock, and what was settled meanwhile would be missed.';
  END IF;
END $$;

-- The worker's number, when this transaction may change who owns its events: READ COMMITTED, and the worker's exclusive lock
-- is held: SELECT pg_advisory_xact_lock(cutover.lock_class_worker(), worker_id), in a statement before.
-- Errors: CU001 unknown worker, CU003 wrong isolation level, CU005 the lock is not held.
CREATE FUNCTION cutover.locked_worker(p_worker text) RETURNS smallint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_worker_id smallint;
BEGIN
  PERFORM cutover.require_read_committed();
  SELECT worker_id INTO v_worker_id FROM cutover.workers WHERE worker = p_worker;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'unknown worker %', quote_nullable(p_worker) USING ERRCODE = 'CU001', HINT = 'Register it: cutover.register_worker(name).';
  END IF;
  IF NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND mode = 'ExclusiveLock' AND granted
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                 AND classid::bigint = cutover.lock_class_worker() AND objid::bigint = v_worker_id AND objsubid = 2) THEN
    RAISE EXCEPTION 'the exclusive lock of worker % is not held', p_worker
      USING ERRCODE = 'CU005', HINT = 'First: SELECT pg_advisory_xact_lock(cutover.lock_class_worker(), worker_id), in a statement of its own.';
  END IF;
  RETURN v_worker_id;
END $$;

-- Whether an event is the worker's to apply, by the segments below an epoch: the rule of claim, for one event.
CREATE FUNCTION cutover.owned_by_worker(p_worker_id smallint, p_stream_id integer, p_sequence bigint, p_key text, p_below_epoch bigint)
RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(
    (SELECT s.mode = 'worker' OR (s.mode = 'canary' AND cutover.bucket(p_key) < s.percent * 100) FROM cutover.ownership s
     WHERE s.worker_id = p_worker_id AND s.stream_id = p_stream_id AND s.epoch < p_below_epoch AND s.from_sequence <= p_sequence
     ORDER BY s.epoch DESC LIMIT 1),
    -- Without a segment every event is the first owner's; below the first one the monolith's.
    (SELECT w.first_owner = 'worker' FROM cutover.workers w WHERE w.worker_id = p_worker_id)
    AND NOT EXISTS (SELECT FROM cutover.ownership s WHERE s.worker_id = p_worker_id AND s.stream_id = p_stream_id AND s.epoch < p_below_epoch))
$$;

-- The highest sequence of a stream that either side settled or passed over; 0 for none.
CREATE FUNCTION cutover.highest_seen(p_worker text, p_stream text, p_incarnation integer) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_worker_id smallint;
  v_stream_id integer;
  v_seen bigint;
  v_step bigint := 1;
  v_found bigint;
BEGIN
  SELECT w.worker_id, s.stream_id INTO v_worker_id, v_stream_id FROM cutover.workers w CROSS JOIN cutover.streams s
  WHERE w.worker = p_worker AND s.stream = p_stream AND s.incarnation = p_incarnation;
  SELECT coalesce(max(k.sequence), 0) INTO v_seen FROM cutover.skipped k WHERE k.worker_id = v_worker_id AND k.stream_id = v_stream_id;
  -- The index knows which spans reach beyond a sequence, not which one reaches farthest: strides that double while they
  -- find something, and halve when they do not.
  LOOP
    SELECT upper(t.span) - 1 INTO v_found FROM cutover.settlements t
    WHERE t.worker_id = v_worker_id AND t.stream_id = v_stream_id AND t.span && int8range(v_seen + v_step, NULL) LIMIT 1;
    IF FOUND THEN
      v_seen := v_found;
      v_step := least(v_step * 4, 1::bigint << 50);
    ELSE
      EXIT WHEN v_step = 1;
      v_step := greatest(v_step / 4, 1);
    END IF;
  END LOOP;
  RETURN v_seen;
END $$;

-- The sequences in [p_from, p_to] that neither side settled in serving, whether they concern the worker or not.
CREATE FUNCTION cutover.unsettled(p_worker text, p_stream text, p_incarnation integer, p_from bigint, p_to bigint) RETURNS int8multirange
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT int8multirange(int8range(p_from, p_to, '[]')) - coalesce(range_agg(t.sequences), '{}')
  FROM cutover.settlements t
  JOIN cutover.workers w ON w.worker_id = t.worker_id AND w.worker = p_worker
  JOIN cutover.streams s ON s.stream_id = t.stream_id AND s.stream = p_stream AND s.incarnation = p_incarnation
  WHERE t.span && int8range(p_from, p_to, '[]') AND t.side <> 's'
$$;

-- Gives what comes after the present end of each stream to a side. The caller holds the worker's exclusive lock, so that
-- nothing is in flight; all streams of the worker get one epoch.
--   p_percent         0 but for canary, two decimals
--   p_last_sequences  of each stream, as the broker says under the lock
--   from_sequence     the first sequence of the new segment: beyond the stream's last, and beyond all that was seen of it
--   behind            the stream ends before what was seen of it: it lost messages, or its answer is stale
-- Errors: CU001, CU003, CU005 as locked_worker; CU002 another incarnation; CU004 behind, and the mode is not monolith;
-- invalid_parameter_value for a mode or percentage that is none.
CREATE FUNCTION cutover.append_segments(
  p_worker text, p_mode text, p_percent numeric, p_actor text, p_reason text,
  p_streams text[], p_incarnations integer[], p_last_sequences bigint[])
RETURNS TABLE (stream text, incarnation integer, epoch bigint, from_sequence bigint, behind boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_worker_id smallint := cutover.locked_worker(p_worker);
  v_epoch bigint;
  v_item record;
BEGIN
  IF p_mode NOT IN ('monolith', 'shadow', 'canary', 'worker') OR p_percent IS NULL OR p_percent <> round(p_percent, 2)
     OR p_percent NOT BETWEEN 0 AND 100 OR (p_mode <> 'canary' AND p_percent <> 0) THEN
    RAISE EXCEPTION 'mode % with % percent', quote_nullable(p_mode), p_percent
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'monolith, shadow and worker with 0; canary with 0 to 100 and at most two decimals.';
  END IF;
  FOR v_item IN
    SELECT u.stream, u.incarnation, max(s.incarnation) AS newest
    FROM unnest(p_streams, p_incarnations) u (stream, incarnation) LEFT JOIN cutover.streams s USING (stream)
    GROUP BY u.stream, u.incarnation HAVING max(s.incarnation) IS DISTINCT FROM u.incarnation ORDER BY u.stream
  LOOP
    RAISE EXCEPTION 'stream % is at incarnation %, the segment is for %', v_item.stream, coalesce(v_item.newest::text, 'none'), v_item.incarnation
      USING ERRCODE = 'CU002', HINT = 'The stream was deleted and created anew: cutover incarnation start.';
  END LOOP;
  SELECT coalesce(max(o.epoch), 0) + 1 INTO v_epoch FROM cutover.ownership o WHERE o.worker_id = v_worker_id;

  -- A worker that worked without any segment keeps what is below its first one.
  INSERT INTO cutover.ownership (worker_id, epoch, stream_id, from_sequence, mode, actor, reason)
  SELECT v_worker_id, v_epoch, s.stream_id, 0, 'worker', p_actor, 'it worked without segments before'
  FROM unnest(p_streams, p_incarnations) u (stream, incarnation) JOIN cutover.streams s USING (stream, incarnation)
  WHERE NOT EXISTS (SELECT FROM cutover.ownership o WHERE o.worker_id = v_worker_id AND o.stream_id = s.stream_id)
    AND (EXISTS (SELECT FROM cutover.settlements t WHERE t.worker_id = v_worker_id AND t.stream_id = s.stream_id AND t.side = 'w')
         OR EXISTS (SELECT FROM cutover.skipped k WHERE k.worker_id = v_worker_id AND k.stream_id = s.stream_id AND k.side = 'm'));
  IF FOUND THEN
    v_epoch := v_epoch + 1;
  END IF;

  FOR v_item IN
    SELECT s.stream_id, u.stream, u.incarnation, u.last_sequence, cutover.highest_seen(p_worker, u.stream, u.incarnation) AS seen
    FROM unnest(p_streams, p_incarnations, p_last_sequences) u (stream, incarnation, last_sequence)
    JOIN cutover.streams s USING (stream, incarnation) ORDER BY u.stream
  LOOP
    IF v_item.seen > v_item.last_sequence AND p_mode <> 'monolith' THEN
      RAISE EXCEPTION 'stream % ends at %, but % of it was settled or passed over', v_item.stream, v_item.last_sequence, v_item.seen
        USING ERRCODE = 'CU004',
              HINT = 'The broker lost messages, or answers from a stale replica. Ask again; only a reverse is possible meanwhile.';
    END IF;
    stream := v_item.stream;
    incarnation := v_item.incarnation;
    epoch := v_epoch;
    from_sequence := greatest(v_item.last_sequence, v_item.seen) + 1;
    behind := v_item.seen > v_item.last_sequence;
    INSERT INTO cutover.ownership (worker_id, epoch, stream_id, from_sequence, mode, percent, actor, reason)
    VALUES (v_worker_id, v_epoch, v_item.stream_id, from_sequence, p_mode, p_percent, p_actor, p_reason);
    RETURN NEXT;
  END LOOP;
END $$;

-- Takes events back from the worker, after append_segments and in its transaction: what lies below the segment of p_epoch,
-- is the worker's and is settled by nobody, is settled as seized, and a copy of it goes to the outbox, in the order of the
-- stream. Its key stays free, its retries are forgotten. Call it for parts of the backlog, ascending. Returns how many it
-- took; what is not the worker's or is settled is passed over.
--   p_event_ids, p_keys  as for claim
--   p_headers            of each message that its copy shall carry, as an object: {"traceparent": "..."}
--   p_payloads           as received
CREATE FUNCTION cutover.seize(
  p_worker text, p_epoch bigint, p_stream text, p_incarnation integer,
  p_sequences bigint[], p_event_ids text[], p_subjects text[], p_keys text[], p_headers jsonb[], p_payloads bytea[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_worker_id smallint := cutover.locked_worker(p_worker);
  v_stream_id integer;
  v_from bigint;
  v_seized bigint[];
  v_before record;            -- the newest segment before this one
  v_alike boolean;            -- it speaks for all of them
  v_untouched boolean;        -- nobody settled any of them
BEGIN
  SELECT s.stream_id, o.from_sequence INTO v_stream_id, v_from
  FROM cutover.streams s JOIN cutover.ownership o ON o.stream_id = s.stream_id AND o.worker_id = v_worker_id AND o.epoch = p_epoch
  WHERE s.stream = p_stream AND s.incarnation = p_incarnation;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'worker % has no segment of epoch % on incarnation % of stream %', p_worker, p_epoch, p_incarnation, p_stream
      USING ERRCODE = 'CU002', HINT = 'Call append_segments first, in this transaction.';
  END IF;
  -- Batches wait meanwhile: a question for each event is asked only where one for all of them has no answer.
  SELECT o.mode, o.from_sequence INTO v_before FROM cutover.ownership o
  WHERE o.worker_id = v_worker_id AND o.stream_id = v_stream_id AND o.epoch < p_epoch ORDER BY o.epoch DESC LIMIT 1;
  v_alike := coalesce(v_before.mode <> 'canary' AND v_before.from_sequence <= (SELECT min(s) FROM unnest(p_sequences) s), false);
  SELECT NOT EXISTS (SELECT FROM cutover.settlements t WHERE t.worker_id = v_worker_id AND t.stream_id = v_stream_id
                     AND t.span && range_merge(b.places) AND t.sequences && b.places AND t.side <> 's')
  INTO v_untouched FROM (SELECT range_agg(int8range(s, s, '[]')) AS places FROM unnest(p_sequences) s) b;
  SELECT array_agg(u.sequence ORDER BY u.sequence) INTO v_seized
  FROM unnest(p_sequences, p_event_ids, p_keys) u (sequence, event_id, key)
  WHERE u.sequence < v_from
    AND CASE WHEN v_alike THEN v_before.mode = 'worker'
             ELSE cutover.owned_by_worker(v_worker_id, v_stream_id, u.sequence, u.key, p_epoch) END
    AND (v_untouched OR NOT EXISTS (
      SELECT FROM cutover.settlements t WHERE t.worker_id = v_worker_id AND t.stream_id = v_stream_id AND t.side <> 's'
        AND t.span && int8range(u.sequence, u.sequence, '[]') AND t.sequences @> u.sequence
        AND cutover.settled_as(t.sequences, t.event_hashes, u.sequence, u.event_id)));
  IF v_seized IS NULL THEN
    RETURN 0;
  END IF;
  INSERT INTO cutover.settlements (worker_id, stream_id, side, class, sequences, span, event_hashes)
  SELECT v_worker_id, v_stream_id, 'w', 'z', range_agg(int8range(u.sequence, u.sequence, '[]')),
         int8range(min(u.sequence), max(u.sequence), '[]'), array_agg(cutover.event_hash(u.event_id) ORDER BY u.sequence)
  FROM unnest(p_sequences, p_event_ids) u (sequence, event_id) JOIN unnest(v_seized) z (sequence) USING (sequence);
  INSERT INTO cutover.outbox (message_id, subject, key, payload, headers, priority, worker_id)
  SELECT cutover.seize_id(p_worker, p_epoch, p_stream, u.sequence), u.subject, u.key, u.payload,
         cutover.copy_headers(u.headers, p_worker, p_stream, p_incarnation, u.sequence), 0, v_worker_id
  FROM unnest(p_sequences, p_subjects, p_keys, p_headers, p_payloads) u (sequence, subject, key, headers, payload)
  JOIN unnest(v_seized) z (sequence) USING (sequence) ORDER BY u.sequence;
  -- None of them is older than what the worker had settled.
  INSERT INTO cutover.copies (stream, published_at)
  SELECT p_stream, coalesce((SELECT min(p.settled_before) FROM cutover.progress p
                             WHERE p.worker_id = v_worker_id AND p.stream_id = v_stream_id), '-infinity');
  DELETE FROM cutover.attempts a WHERE a.worker_id = v_worker_id AND a.stream_id = v_stream_id AND a.sequence = ANY (v_seized) AND NOT a.shadow;
  DELETE FROM cutover.waiting a WHERE a.worker_id = v_worker_id AND a.stream_id = v_stream_id AND a.sequence = ANY (v_seized) AND NOT a.shadow;
  RETURN cardinality(v_seized);
END $$;

-- Takes back the dead letters that are being replayed to the worker, in the transaction of seize: each is closed as seized,
-- its mark is freed, and a copy goes to the outbox. Returns how many.
CREATE FUNCTION cutover.seize_replays(p_worker text, p_epoch bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_worker_id smallint := cutover.locked_worker(p_worker);
  v_letters bigint[];
BEGIN
  PERFORM FROM cutover.dead_letters d WHERE d.worker_id = v_worker_id AND d.state = 'replaying' AND NOT d.shadow ORDER BY d.letter_id FOR UPDATE;
  WITH seized AS (
    UPDATE cutover.dead_letters d SET state = 'seized'
    WHERE d.worker_id = v_worker_id AND d.state = 'replaying' AND NOT d.shadow
      AND cutover.owned_by_worker(v_worker_id, d.stream_id, d.sequence, d.key, p_epoch)
    RETURNING d.letter_id)
  SELECT array_agg(letter_id) INTO v_letters FROM seized;
  IF v_letters IS NULL THEN
    RETURN 0;
  END IF;
  PERFORM cutover.free_marks(v_letters);
  INSERT INTO cutover.outbox (message_id, subject, key, payload, headers, priority, worker_id)
  SELECT cutover.seize_id(p_worker, p_epoch, s.stream, d.sequence) || ':' || s.incarnation || ':' || d.event_hash, d.subject, d.key, d.payload,
         cutover.copy_headers((SELECT jsonb_object_agg(h ->> 0, h ->> 1) FROM jsonb_array_elements(d.headers) h
                               WHERE h ->> 0 IN ('traceparent', 'tracestate') AND h ->> 1 IS NOT NULL),
                              p_worker, s.stream, s.incarnation, d.sequence), 0, v_worker_id
  FROM cutover.dead_letters d JOIN cutover.streams s USING (stream_id)
  WHERE d.letter_id = ANY (v_letters) ORDER BY s.incarnation, s.stream, d.sequence, d.letter_id;
  INSERT INTO cutover.copies (stream, published_at)
  SELECT s.stream, min(d.published_at) FROM cutover.dead_letters d JOIN cutover.streams s USING (stream_id)
  WHERE d.letter_id = ANY (v_letters) GROUP BY s.stream;
  RETURN cardinality(v_letters);
END $$;

-- Nats-Msg-Id of a copy. (An epoch belongs to a worker: without its name two workers' copies of one event would be one.)
CREATE FUNCTION cutover.seize_id(p_worker text, p_epoch bigint, p_stream text, p_sequence bigint) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT format('seize:%s:%s:%s:%s', p_worker, p_epoch, p_stream, p_sequence)
$$;

-- Headers of a message that is published again, for one worker only.
CREATE FUNCTION cutover.copy_headers(p_headers jsonb, p_worker text, p_stream text, p_incarnation integer, p_sequence bigint) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(p_headers, '{}') || jsonb_build_object(
    'Cutover-Republished-From', format('%s/%s/%s', p_stream, p_incarnation, p_sequence), 'Cutover-For', p_worker)
$$;

-- Frees the marks that these letters hold; a mark that another place holds stays.
CREATE FUNCTION cutover.free_marks(p_letters bigint[]) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  WITH held AS (
    SELECT cutover.mark_key(CASE WHEN d.shadow THEN 's' ELSE 'v' END, d.worker_id, d.tenant_scope || E'\x1f' || d.idempotency_key) AS mark,
           d.stream_id, d.sequence
    FROM cutover.dead_letters d WHERE d.letter_id = ANY (p_letters) AND d.idempotency_key <> ''),
  zero AS (DELETE FROM cutover.marks_0 m USING held h WHERE m.key = h.mark AND m.stream_id = h.stream_id AND m.sequence = h.sequence),
  one AS (DELETE FROM cutover.marks_1 m USING held h WHERE m.key = h.mark AND m.stream_id = h.stream_id AND m.sequence = h.sequence)
  DELETE FROM cutover.marks m USING held h WHERE m.key = h.mark AND m.stream_id = h.stream_id AND m.sequence = h.sequence
$$;

-- Says that one version of an aggregate will not come any more, or, for seeding, all up to it: what waits for it may go on.
CREATE FUNCTION cutover.pass_version(p_worker text, p_key text, p_version bigint, p_all_below boolean DEFAULT false) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO cutover.aggregates AS g (worker_id, shadow, key, versions)
  SELECT w.worker_id, shadow, p_key, int8multirange(int8range(CASE WHEN p_all_below THEN 1 ELSE p_version END, p_version, '[]'))
  FROM cutover.workers w CROSS JOIN (VALUES (false), (true)) l (shadow) WHERE w.worker = p_worker
  ON CONFLICT (worker_id, shadow, key) DO UPDATE SET versions = g.versions + excluded.versions
$$;

-- Starts shadow with the versions that serving passed.
CREATE FUNCTION cutover.seed_shadow_versions(p_worker text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO cutover.aggregates AS g (worker_id, shadow, key, versions)
  SELECT s.worker_id, true, s.key, s.versions FROM cutover.aggregates s JOIN cutover.workers w USING (worker_id)
  WHERE w.worker = p_worker AND NOT s.shadow ORDER BY s.key
  ON CONFLICT (worker_id, shadow, key) DO UPDATE SET versions = g.versions + excluded.versions
$$;

-- Goes on with a stream that was deleted and created anew at p_created_at: each worker keeps its present mode from the first
-- sequence of the new life. Waits for every batch in flight, as long as lock_timeout lets it. Nothing here knows which versions
-- of an ordered worker's aggregates are gone with the old life and which were published again in the new one: pass_version,
-- in the same transaction or when a letter of kind gap names one. Returns the incarnation, which is the present one when the
-- stream was known to be created then.
CREATE FUNCTION cutover.start_incarnation(p_stream text, p_created_at timestamptz, p_actor text, p_reason text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_old_id integer;
  v_new_id integer;
  v_incarnation integer;
  v_created_at timestamptz;
BEGIN
  PERFORM cutover.require_read_committed();
  PERFORM pg_advisory_xact_lock(cutover.lock_class_worker(), w.worker_id) FROM (SELECT worker_id FROM cutover.workers ORDER BY worker_id) w;
  SELECT stream_id, incarnation, created_at INTO v_old_id, v_incarnation, v_created_at
  FROM cutover.streams WHERE stream = p_stream ORDER BY incarnation DESC LIMIT 1;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'unknown stream %', quote_nullable(p_stream) USING ERRCODE = 'CU002', HINT = 'Nobody has worked on it yet: nothing has to be declared.';
  END IF;
  IF v_created_at = p_created_at THEN
    RETURN v_incarnation;
  END IF;
  INSERT INTO cutover.streams (stream, incarnation, created_at) VALUES (p_stream, v_incarnation + 1, p_created_at) RETURNING stream_id INTO v_new_id;
  INSERT INTO cutover.ownership (worker_id, epoch, stream_id, from_sequence, mode, percent, actor, reason)
  SELECT o.worker_id, (SELECT max(a.epoch) + 1 FROM cutover.ownership a WHERE a.worker_id = o.worker_id), v_new_id, 0, o.mode, o.percent, p_actor, p_reason
  FROM (SELECT DISTINCT ON (worker_id) worker_id, mode, percent FROM cutover.ownership
        WHERE stream_id = v_old_id ORDER BY worker_id, epoch DESC) o;
  DELETE FROM cutover.waiting t WHERE t.stream_id = v_old_id;
  RETURN v_incarnation + 1;
END $$;

-- Writes one line of the operators' log; returns its number.
CREATE FUNCTION cutover.log_operation(
  p_actor text, p_command text, p_worker text, p_arguments jsonb, p_reason text, p_forced text[], p_result text, p_detail jsonb)
RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO cutover.operator_log (actor, login, command, worker, arguments, reason, forced, result, detail)
  VALUES (p_actor, session_user, p_command, p_worker, coalesce(p_arguments, '{}'), p_reason, coalesce(p_forced, '{}'), p_result, coalesce(p_detail, '{}'))
  RETURNING log_id
$$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA cutover FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cutover.schema_version(), cutover.bucket(text), cutover.event_hash(text),
  cutover.lock_class_worker(), cutover.lock_class_instance(), cutover.lock_class_relay(), cutover.lock_class_upkeep()
  TO PUBLIC;
GRANT SELECT ON cutover.operator_log, cutover.parity_verdicts TO cutover_operator, cutover_worker, cutover_monolith;
GRANT INSERT ON cutover.parity_verdicts TO cutover_operator, cutover_worker;
GRANT SELECT ON cutover.batch_times TO cutover_operator, cutover_worker;
GRANT INSERT, DELETE ON cutover.batch_times TO cutover_worker;
GRANT EXECUTE ON FUNCTION
  cutover.stream_incarnation(text, timestamptz), cutover.highest_seen(text, text, integer), cutover.unsettled(text, text, integer, bigint, bigint),
  cutover.append_segments(text, text, numeric, text, text, text[], integer[], bigint[]),
  cutover.seize(text, bigint, text, integer, bigint[], text[], text[], text[], jsonb[], bytea[]), cutover.seize_replays(text, bigint),
  cutover.pass_version(text, text, bigint, boolean), cutover.seed_shadow_versions(text),
  cutover.start_incarnation(text, timestamptz, text, text), cutover.note_settled_below(text, text, text, integer, bigint),
  cutover.log_operation(text, text, text, jsonb, text, text[], text, jsonb)
  TO cutover_operator;
GRANT EXECUTE ON FUNCTION cutover.highest_seen(text, text, integer), cutover.unsettled(text, text, integer, bigint, bigint) TO cutover_worker;
GRANT EXECUTE ON FUNCTION cutover.mark_key(text, smallint, text) TO cutover_operator;  -- to find who holds a key

COMMIT;
