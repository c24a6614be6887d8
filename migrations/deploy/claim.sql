-- Deploy cutover:claim to pg
-- requires: dead_letters
-- The two functions of a batch: claim (first in the transaction) and settle (last). Every language calls these, so that each
-- rule exists once.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION cutover.schema_version() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 5';

-- The 128 bits that stand for "this key, for this worker". p_ledger: 'v' serving, 's' shadow.
-- p_key: tenant scope, unit separator (U+001F), idempotency key. (PostgreSQL's md5 costs 5 us a key, this 0.6.)
CREATE FUNCTION cutover.mark_key(p_ledger text, p_worker_id smallint, p_key text) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT encode(int8send(hashtextextended(p_key, p_worker_id * 4 + (p_ledger = 's')::integer * 2))
             || int8send(hashtextextended(p_key, p_worker_id * 4 + (p_ledger = 's')::integer * 2 + 1)), 'hex')::uuid
$$;

-- Which of 10,000 buckets a key falls into: FNV-1a, 64 bits, of its UTF-8 bytes.
CREATE FUNCTION cutover.bucket(p_key text) RETURNS integer
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  v_bytes bytea := convert_to(p_key, 'UTF8');
  v_high bigint := 3421674724;  -- 0xcbf29ce4
  v_low bigint := 2216829733;   -- 0x84222325
  v_product bigint;
BEGIN
  -- Times 0x100000001b3 modulo 2^64, in two halves of 32 bits: nothing overflows a bigint.
  FOR i IN 0 .. length(v_bytes) - 1 LOOP
    v_low := v_low # get_byte(v_bytes, i);
    v_product := v_low * 435;
    v_high := (v_high * 435 + (v_low << 8) + (v_product >> 32)) & 4294967295;
    v_low := v_product & 4294967295;
  END LOOP;
  RETURN mod(mod(v_high, 10000) * 7296 + mod(v_low, 10000), 10000);  -- 2^32 mod 10,000 = 7,296
END $$;

-- The shadow period that a worker is in, or was in last: the epoch in which its shadow tables began anew; 0 for none. A new
-- life of a stream (from_sequence 0) goes on with the period.
CREATE FUNCTION cutover.shadow_period(p_worker_id smallint) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(max(e.epoch), 0)
  FROM (SELECT o.epoch, o.mode, lag(o.mode, 1, '') OVER (ORDER BY o.epoch) AS before
        FROM (SELECT DISTINCT epoch, mode FROM cutover.ownership WHERE worker_id = p_worker_id AND from_sequence > 0) o) e
  WHERE e.mode = 'shadow' OR (e.mode = 'canary' AND e.before NOT IN ('shadow', 'canary'))
$$;

-- Decides, in the batch's transaction, what of a batch is ours to do, and marks it.
--   p_side              'worker' or 'monolith'
--   p_sequences         ascending, each once; of the origin, for replays
--   p_event_ids         '' where it could not be read
--   p_keys              header Cutover-Key, else subject_id, else ''
--   p_idempotency_keys  tenant scope, U+001F, idempotency key; null takes no mark
--   p_versions          of the subject, null where unknown; read for ordered workers only
--   p_replay_plans      0, or the plan by which a dead letter is replayed
--   serving             a character per event: a apply; s skip, the other side's; d duplicate of another place, or of a version
--                       that was passed; = this place is settled; u apply, but the broker reused the sequence of another event.
--                       Ordered workers: w wait, an earlier version is missing: deliver it again soon, it is no attempt;
--                       g gap, it stayed missing: a dead letter of kind gap
--   shadow              the same for schema shadow, with - where nothing is to be done. What an earlier shadow period left is not
--                       done in a later one: its tables began anew, with what the other side had made of it
-- Holds the worker's shared lock to the end of the transaction. Errors: CU001 unknown worker or side, CU002 another
-- incarnation, CU003 wrong isolation level.
-- A lone event pays for every statement in here, so simple expressions do what they can. Settings hold for the functions
-- that this one calls. Plans are generic, made once a connection: one that was made while the tables were small must not
-- scan them when they are big, and the price of saying so must not set off the compiler.
CREATE FUNCTION cutover.claim(
  p_worker text, p_side text, p_instance text, p_stream text, p_incarnation integer,
  p_sequences bigint[], p_event_ids text[], p_keys text[], p_idempotency_keys text[], p_versions bigint[], p_replay_plans bigint[],
  OUT serving text, OUT shadow text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan
SET jit = off SET enable_seqscan = off AS $$
DECLARE
  v_worker_id smallint;
  v_ordered boolean;
  v_stream_id integer;
  v_newest integer;
  v_slot smallint;
  v_idle_empty boolean;
  v_first_owner text;
  v_mode text;               -- of the newest segment; null without any
  v_from_sequence bigint;
  v_count integer := cardinality(p_sequences);
  v_replay boolean := 0 <> ANY (p_replay_plans);
  v_batch int8multirange;
  v_span int8range;
  v_serving "char"[];
  v_shadow "char"[];
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'cutover.claim needs READ COMMITTED, the transaction is %', upper(current_setting('transaction_isolation'))
      USING ERRCODE = 'CU003', HINT = 'Above it the snapshot is older than the lock, and a change of ownership would be missed.';
  END IF;
  IF p_side NOT IN ('worker', 'monolith') THEN
    RAISE EXCEPTION 'unknown side %', quote_nullable(p_side) USING ERRCODE = 'CU001', HINT = 'It is worker or monolith.';
  END IF;
  SELECT worker_id, ordered, first_owner INTO v_worker_id, v_ordered, v_first_owner FROM cutover.workers WHERE worker = p_worker;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'unknown worker %', quote_nullable(p_worker) USING ERRCODE = 'CU001', HINT = 'Register it: cutover.register_worker(name).';
  END IF;
  IF pg_advisory_xact_lock_shared(cutover.lock_class_worker(), v_worker_id) IS NULL THEN END IF;

  -- From here each statement has a snapshot younger than the lock.
  SELECT s.stream_id, (SELECT max(n.incarnation) FROM cutover.streams n WHERE n.stream = p_stream), m.slot, m.idle_empty,
         o.mode, o.from_sequence
  INTO v_stream_id, v_newest, v_slot, v_idle_empty, v_mode, v_from_sequence
  FROM cutover.mark_slot m
  LEFT JOIN cutover.streams s ON s.stream = p_stream AND s.incarnation = p_incarnation
  LEFT JOIN LATERAL (
    SELECT n.mode, n.from_sequence FROM cutover.ownership n
    WHERE n.worker_id = v_worker_id AND n.stream_id = s.stream_id ORDER BY n.epoch DESC LIMIT 1) o ON true;
  IF v_stream_id IS NULL OR (v_newest <> p_incarnation AND NOT v_replay) THEN
    RAISE EXCEPTION 'stream % is at incarnation %, the batch comes from %', p_stream, coalesce(v_newest::text, 'none'), p_incarnation
      USING ERRCODE = 'CU002', HINT = 'The stream was deleted and created anew; an operator decides how to go on.';
  END IF;

  -- Whose is it? Mostly the newest segment speaks for the whole batch.
  IF v_mode IS NULL OR (v_from_sequence <= p_sequences[1] AND v_mode <> 'canary') THEN
    v_serving := array_fill((CASE WHEN p_side = (CASE WHEN v_mode IS NULL THEN v_first_owner WHEN v_mode = 'worker' THEN 'worker' ELSE 'monolith' END)
                                  THEN 'a' ELSE 's' END)::"char", ARRAY[v_count]);
    v_shadow := array_fill((CASE WHEN p_side = 'worker' AND v_mode = 'shadow' THEN 'a' ELSE '-' END)::"char", ARRAY[v_count]);
  ELSE
    -- Below the first segment there is no mode: the monolith's, as it was before there was a worker. (See owned_by_worker.)
    SELECT array_agg((CASE WHEN coalesce(o.mode = 'worker' OR (o.mode = 'canary' AND cutover.bucket(u.key) < o.percent * 100), false)
                                = (p_side = 'worker') THEN 'a' ELSE 's' END)::"char" ORDER BY u.ord),
           array_agg((CASE WHEN p_side = 'worker' AND o.mode IN ('shadow', 'canary')
                                AND o.epoch >= (SELECT cutover.shadow_period(v_worker_id)) THEN 'a' ELSE '-' END)::"char" ORDER BY u.ord)
    INTO v_serving, v_shadow
    FROM unnest(p_sequences, p_keys) WITH ORDINALITY u (sequence, key, ord)
    LEFT JOIN LATERAL (
      SELECT s.mode, s.percent, s.epoch FROM cutover.ownership s
      WHERE s.worker_id = v_worker_id AND s.stream_id = v_stream_id AND s.from_sequence <= u.sequence
      ORDER BY s.epoch DESC LIMIT 1) o ON true;
  END IF;

  -- Settled before?
  v_span := int8range(p_sequences[1], p_sequences[v_count], '[]');
  IF p_sequences[v_count] - p_sequences[1] = v_count - 1 THEN
    v_batch := int8multirange(v_span);
  ELSE
    SELECT range_agg(int8range(s, s, '[]')) INTO v_batch FROM unnest(p_sequences) s;
  END IF;
  IF v_replay THEN
    PERFORM FROM cutover.dead_letters d WHERE d.worker_id = v_worker_id AND d.stream_id = v_stream_id
      AND d.sequence = ANY (p_sequences) AND NOT d.shadow ORDER BY d.sequence, d.event_hash FOR UPDATE;
    SELECT array_agg((CASE WHEN u.status = 's' THEN 's' WHEN d.letter_id IS NULL THEN '=' ELSE 'a' END)::"char" ORDER BY u.ord)
    INTO v_serving
    FROM unnest(p_sequences, p_event_ids, p_replay_plans, v_serving) WITH ORDINALITY u (sequence, event_id, plan, status, ord)
    LEFT JOIN cutover.dead_letters d ON d.worker_id = v_worker_id AND d.stream_id = v_stream_id AND NOT d.shadow
      AND d.sequence = u.sequence AND d.event_hash = cutover.event_hash(u.event_id) AND d.state = 'replaying' AND d.plan_id = u.plan;
    v_shadow := array_fill('-'::"char", ARRAY[v_count]);
  ELSE
    IF EXISTS (SELECT FROM cutover.settlements t WHERE t.worker_id = v_worker_id AND t.stream_id = v_stream_id
               AND t.span && v_span AND t.sequences && v_batch) THEN
      SELECT array_agg((CASE WHEN u.serving = '-' OR served.same IS NULL THEN u.serving
                             WHEN served.same THEN '=' WHEN u.serving = 'a' THEN 'u' ELSE u.serving END)::"char" ORDER BY u.ord),
             array_agg((CASE WHEN u.shadow = '-' OR shadowed.same IS NULL THEN u.shadow
                             WHEN shadowed.same THEN '=' ELSE 'u' END)::"char" ORDER BY u.ord)
      INTO v_serving, v_shadow
      FROM unnest(p_sequences, p_event_ids, v_serving, v_shadow) WITH ORDINALITY u (sequence, event_id, serving, shadow, ord)
      CROSS JOIN LATERAL (
        SELECT bool_or(cutover.settled_as(t.sequences, t.event_hashes, u.sequence, u.event_id)) AS same
        FROM cutover.settlements t WHERE t.worker_id = v_worker_id AND t.stream_id = v_stream_id
          AND t.span && int8range(u.sequence, u.sequence, '[]') AND t.sequences @> u.sequence AND t.side <> 's') served
      CROSS JOIN LATERAL (
        SELECT bool_or(cutover.settled_as(t.sequences, t.event_hashes, u.sequence, u.event_id)) AS same
        FROM cutover.settlements t WHERE t.worker_id = v_worker_id AND t.stream_id = v_stream_id
          AND t.span && int8range(u.sequence, u.sequence, '[]') AND t.sequences @> u.sequence AND t.side = 's') shadowed;
    END IF;
  END IF;

  IF v_ordered THEN
    v_serving := cutover.check_order(v_worker_id, false, v_stream_id, p_sequences, p_event_ids, p_keys, p_idempotency_keys, p_versions, v_serving);
    v_shadow := cutover.check_order(v_worker_id, true, v_stream_id, p_sequences, p_event_ids, p_keys, p_idempotency_keys, p_versions, v_shadow);
  END IF;

  -- The marks of both ledgers. A replay finds the mark that its letter holds.
  v_serving := cutover.take_marks('v', v_worker_id, v_stream_id, v_slot, v_idle_empty, p_sequences, p_idempotency_keys, v_serving, v_replay);
  IF 'a'::"char" = ANY (v_shadow) OR 'u'::"char" = ANY (v_shadow) OR 'g'::"char" = ANY (v_shadow) THEN
    v_shadow := cutover.take_marks('s', v_worker_id, v_stream_id, v_slot, v_idle_empty, p_sequences, p_idempotency_keys, v_shadow, false);
  END IF;

  -- Another delivery of the same events may have committed while we waited for its marks: what it settled is settled.
  IF 'd'::"char" = ANY (v_serving) AND NOT v_replay THEN
    SELECT array_agg((CASE WHEN u.status = 'd' AND EXISTS (
        SELECT FROM cutover.settlements t WHERE t.worker_id = v_worker_id AND t.stream_id = v_stream_id AND t.side <> 's'
          AND t.span && int8range(u.sequence, u.sequence, '[]') AND t.sequences @> u.sequence
          AND cutover.settled_as(t.sequences, t.event_hashes, u.sequence, u.event_id)) THEN '=' ELSE u.status END)::"char" ORDER BY u.ord)
    INTO v_serving
    FROM unnest(p_sequences, p_event_ids, v_serving) WITH ORDINALITY u (sequence, event_id, status, ord);
  END IF;

  IF 's'::"char" = ANY (v_serving) AND NOT v_replay THEN
    INSERT INTO cutover.skipped AS k (worker_id, stream_id, side, instance, sequence)
    SELECT v_worker_id, v_stream_id, left(p_side, 1)::"char", p_instance, max(u.sequence)
    FROM unnest(p_sequences, v_serving) u (sequence, status) WHERE u.status = 's'
    ON CONFLICT (worker_id, stream_id, side, instance) DO UPDATE
      SET sequence = greatest(k.sequence, excluded.sequence), at = now();
  END IF;
  serving := array_to_string(v_serving, '');
  shadow := array_to_string(v_shadow, '');
END $$;

-- Claims what the worker itself sent while it computed into schema shadow, as the stream SHADOW brings it back: for shadow only,
-- while the worker is in shadow or canary, and only in the period that it was sent in.
--   p_periods  of each event: its header Cutover-Shadow-Period, 0 without
-- Otherwise as cutover.claim; returns what that calls shadow.
CREATE FUNCTION cutover.claim_shadow(
  p_worker text, p_stream text, p_incarnation integer,
  p_sequences bigint[], p_event_ids text[], p_keys text[], p_idempotency_keys text[], p_versions bigint[], p_periods bigint[]) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan
SET jit = off SET enable_seqscan = off AS $$
DECLARE
  v_worker_id smallint;
  v_ordered boolean;
  v_stream_id integer;
  v_slot smallint;
  v_idle_empty boolean;
  v_period bigint;
  v_shadow "char"[];
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'cutover.claim_shadow needs READ COMMITTED, the transaction is %', upper(current_setting('transaction_isolation'))
      USING ERRCODE = 'CU003', HINT = 'Above it the snapshot is older than the lock, and a change of ownership would be missed.';
  END IF;
  SELECT worker_id, ordered INTO v_worker_id, v_ordered FROM cutover.workers WHERE worker = p_worker;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'unknown worker %', quote_nullable(p_worker) USING ERRCODE = 'CU001', HINT = 'Register it: cutover.register_worker(name).';
  END IF;
  PERFORM pg_advisory_xact_lock_shared(cutover.lock_class_worker(), v_worker_id);

  -- From here each statement has a snapshot younger than the lock.
  SELECT s.stream_id, m.slot, m.idle_empty,
         CASE WHEN (SELECT o.mode FROM cutover.ownership o WHERE o.worker_id = v_worker_id ORDER BY o.epoch DESC LIMIT 1) IN ('shadow', 'canary')
              THEN cutover.shadow_period(v_worker_id) END
  INTO v_stream_id, v_slot, v_idle_empty, v_period
  FROM cutover.streams s CROSS JOIN cutover.mark_slot m WHERE s.stream = p_stream AND s.incarnation = p_incarnation;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'stream % has no incarnation %', p_stream, p_incarnation USING ERRCODE = 'CU002', HINT = 'Start the worker again.';
  END IF;
  SELECT array_agg((CASE WHEN u.period IS DISTINCT FROM v_period THEN '-' WHEN t.same IS NULL THEN 'a' WHEN t.same THEN '=' ELSE 'u' END)::"char"
                   ORDER BY u.ord)
  INTO v_shadow
  FROM unnest(p_sequences, p_event_ids, p_periods) WITH ORDINALITY u (sequence, event_id, period, ord)
  CROSS JOIN LATERAL (
    SELECT bool_or(cutover.settled_as(t.sequences, t.event_hashes, u.sequence, u.event_id)) AS same
    FROM cutover.settlements t WHERE t.worker_id = v_worker_id AND t.stream_id = v_stream_id
      AND t.span && int8range(u.sequence, u.sequence, '[]') AND t.sequences @> u.sequence AND t.side = 's') t;
  IF v_ordered THEN
    v_shadow := cutover.check_order(v_worker_id, true, v_stream_id, p_sequences, p_event_ids, p_keys, p_idempotency_keys, p_versions, v_shadow);
  END IF;
  RETURN array_to_string(cutover.take_marks('s', v_worker_id, v_stream_id, v_slot, v_idle_empty, p_sequences, p_idempotency_keys, v_shadow, false), '');
END $$;

-- For ordered workers: answers d where the version was passed, w or g where an earlier one is missing. An earlier version that
-- this batch is to apply counts; `pass_settled` makes sure that it was. A copy of a version of this batch is left to the marks.
--   p_status  as of claim; only a and u are looked at
CREATE FUNCTION cutover.check_order(
  p_worker_id smallint, p_shadow boolean, p_stream_id integer, p_sequences bigint[], p_event_ids text[], p_keys text[],
  p_idempotency_keys text[], p_versions bigint[], p_status "char"[]) RETURNS "char"[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_status "char"[] := p_status;
  v_key text;
  v_passed int8multirange;
  v_batch int8multirange;
  v_marks text[];  -- mark of each version in v_batch, as "version mark"
  v_wait integer[] := '{}';
  v_item record;
BEGIN
  FOR v_item IN
    -- A scalar subquery is an index lookup; a join reads all aggregates of the worker once its plan was made while there were few.
    SELECT u.ord, u.key, u.version, u.mark,
           coalesce((SELECT g.versions FROM cutover.aggregates g
                     WHERE g.worker_id = p_worker_id AND g.shadow = p_shadow AND g.key = u.key), '{}') AS passed
    FROM unnest(p_sequences, p_keys, p_idempotency_keys, p_versions, p_status) WITH ORDINALITY u (sequence, key, mark, version, status, ord)
    WHERE u.status IN ('a', 'u') AND u.version > 0 ORDER BY u.key, u.ord
  LOOP
    IF v_key IS DISTINCT FROM v_item.key THEN
      v_key := v_item.key;
      v_passed := v_item.passed;
      v_batch := '{}';
      v_marks := '{}';
    END IF;
    IF v_passed @> v_item.version THEN
      v_status[v_item.ord] := 'd';
    ELSIF v_batch @> v_item.version THEN
      IF NOT coalesce(v_item.version || ' ' || v_item.mark = ANY (v_marks), false) THEN
        v_status[v_item.ord] := 'w';  -- other work under the same version: passed or not, the next delivery knows
      END IF;
    ELSIF v_item.version = 1 OR v_passed + v_batch @> int8range(1, v_item.version) THEN
      v_batch := v_batch + int8multirange(int8range(v_item.version, v_item.version, '[]'));
      v_marks := v_marks || (v_item.version || ' ' || v_item.mark);
    ELSE
      v_status[v_item.ord] := 'w';
      v_wait := v_wait || v_item.ord::integer;
    END IF;
  END LOOP;
  IF v_wait = '{}' THEN
    RETURN v_status;
  END IF;

  INSERT INTO cutover.waiting AS t (worker_id, stream_id, sequence, shadow, event_hash, key, version)
  SELECT p_worker_id, p_stream_id, p_sequences[o], p_shadow, cutover.event_hash(p_event_ids[o]), p_keys[o], p_versions[o]
  FROM unnest(v_wait) o ORDER BY p_sequences[o]
  ON CONFLICT (worker_id, stream_id, sequence, shadow) DO UPDATE
    SET event_hash = excluded.event_hash, key = excluded.key, version = excluded.version, since = excluded.since
    WHERE t.event_hash <> excluded.event_hash;
  -- A gap: it waited long enough, and whoever reports about this stream had everything below it behind him after it came. A side
  -- that owns nothing any more needs not go on reporting: it is enough that it had all below the boundary behind it once.
  FOR v_item IN
    SELECT o FROM unnest(v_wait) o
    CROSS JOIN (SELECT now() - w.gap_limit AS since FROM cutover.workers w WHERE w.worker_id = p_worker_id) enough
    CROSS JOIN (SELECT min(f.settled_below) AS settled_below, min(f.at) AS at FROM cutover.floors f
                LEFT JOIN LATERAL (
                  SELECT n.from_sequence, n.at FROM cutover.ownership n
                  WHERE n.worker_id = f.worker_id AND n.stream_id = f.stream_id AND n.epoch > coalesce((
                    SELECT max(e.epoch) FROM cutover.ownership e WHERE e.worker_id = f.worker_id AND e.stream_id = f.stream_id
                      AND CASE f.side WHEN 'w' THEN e.mode IN ('worker', 'canary') ELSE e.mode <> 'worker' END), 0)
                  ORDER BY n.epoch LIMIT 1) away ON true
                WHERE f.worker_id = p_worker_id AND f.stream_id = p_stream_id AND f.at > now() - interval '7 days'
                  AND NOT coalesce(f.settled_below >= away.from_sequence AND f.at >= away.at, false)) f
    WHERE (SELECT t.since <= enough.since AND f.settled_below >= t.sequence AND f.at >= t.since FROM cutover.waiting t
           WHERE t.worker_id = p_worker_id AND t.stream_id = p_stream_id AND t.sequence = p_sequences[o] AND t.shadow = p_shadow)
  LOOP
    v_status[v_item.o] := 'g';
  END LOOP;
  RETURN v_status;
END $$;

-- Records the versions that a batch passed. What was applied must follow on what was passed before: a batch in which a
-- predecessor was not applied after all fails, and its parts succeed.
--   p_classes  as of settle; a and n pass their version
CREATE FUNCTION cutover.pass_settled(
  p_worker_id smallint, p_shadow boolean, p_stream_id integer, p_sequences bigint[], p_keys text[], p_versions bigint[],
  p_classes text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_broken record;
BEGIN
  INSERT INTO cutover.aggregates (worker_id, shadow, key, versions)
  SELECT DISTINCT p_worker_id, p_shadow, u.key, int8multirange()
  FROM unnest(p_keys, p_versions, string_to_array(p_classes, NULL)) u (key, version, class)
  WHERE u.version > 0 AND u.class IN ('a', 'n') ORDER BY u.key
  ON CONFLICT DO NOTHING;
  PERFORM FROM (SELECT DISTINCT u.key FROM unnest(p_keys) u (key) ORDER BY u.key) k
  CROSS JOIN LATERAL (SELECT FROM cutover.aggregates g
                      WHERE g.worker_id = p_worker_id AND g.shadow = p_shadow AND g.key = k.key FOR UPDATE) g;
  SELECT g.key, p.versions INTO v_broken
  FROM (SELECT u.key, range_agg(int8range(u.version, u.version, '[]')) AS versions, count(*) AS events, max(u.version) AS highest
        FROM unnest(p_keys, p_versions, string_to_array(p_classes, NULL)) u (key, version, class)
        WHERE u.version > 0 AND u.class IN ('a', 'n') GROUP BY u.key) p
  CROSS JOIN LATERAL (SELECT g.key, g.versions FROM cutover.aggregates g
                      WHERE g.worker_id = p_worker_id AND g.shadow = p_shadow AND g.key = p.key OFFSET 0) g
  WHERE g.versions && p.versions
     OR p.events <> (SELECT sum(upper(r) - lower(r)) FROM unnest(p.versions) r)
     OR NOT g.versions + p.versions @> int8range(1, p.highest, '[]')
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'versions % of % do not follow on what was applied before', v_broken.versions, quote_literal(v_broken.key)
      USING ERRCODE = 'check_violation', HINT = 'An event before them was not applied: settle them apart.';
  END IF;
  -- The rows are there; on conflict they are found by the index.
  INSERT INTO cutover.aggregates AS g (worker_id, shadow, key, versions)
  SELECT p_worker_id, p_shadow, u.key, range_agg(int8range(u.version, u.version, '[]'))
  FROM unnest(p_keys, p_versions, string_to_array(p_classes, NULL)) u (key, version, class)
  WHERE u.version > 0 AND u.class IN ('a', 'n') GROUP BY u.key ORDER BY u.key
  ON CONFLICT (worker_id, shadow, key) DO UPDATE SET versions = g.versions + excluded.versions;
  DELETE FROM cutover.waiting t
  WHERE t.worker_id = p_worker_id AND t.stream_id = p_stream_id AND t.shadow = p_shadow
    AND t.sequence BETWEEN p_sequences[1] AND p_sequences[cardinality(p_sequences)] AND t.sequence = ANY (ARRAY(
    SELECT u.sequence FROM unnest(p_sequences, string_to_array(p_classes, NULL)) u (sequence, class) WHERE u.class IN ('a', 'd', 'n', 'x')));
END $$;

-- True when the row settled this sequence for this very event, or cannot know any more (compacted).
CREATE FUNCTION cutover.settled_as(p_sequences int8multirange, p_hashes bigint[], p_sequence bigint, p_event_id text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT p_hashes IS NULL OR p_hashes[1 + (
      SELECT coalesce(sum(least(upper(r), p_sequence) - lower(r)), 0)::integer FROM unnest(p_sequences) r WHERE lower(r) < p_sequence)]
    = cutover.event_hash(p_event_id)
$$;

-- Inserts marks into the slot's table, except those that are anywhere already; returns the sequences of the new ones. A mark
-- that another transaction is inserting is waited for; keys are sorted, so that two batches never wait for each other.
-- A plain insert costs less than half of ON CONFLICT, which locks and logs every row twice: that one comes after it, for the
-- batch that met another transaction. A scalar subquery is an index lookup, whatever the planner believes of the tables.
-- The idle slot is looked into only until it was merged.
DO $$
BEGIN
  FOR slot IN 0 .. 1 LOOP
    EXECUTE format($f$
      CREATE FUNCTION cutover.insert_marks_%1$s(p_stream_id integer, p_sequences bigint[], p_marks uuid[], p_idle_empty boolean) RETURNS bigint[]
      LANGUAGE plpgsql AS $b$
      DECLARE
        v_taken bigint[];
      BEGIN
        BEGIN
          IF NOT p_idle_empty THEN
            WITH taken AS (
              INSERT INTO cutover.marks_%1$s (key, stream_id, sequence)
              SELECT DISTINCT ON (u.mark) u.mark, p_stream_id, u.sequence FROM unnest(p_marks, p_sequences) u (mark, sequence)
              WHERE u.mark IS NOT NULL AND (SELECT true FROM cutover.marks m WHERE m.key = u.mark) IS NULL
                AND (SELECT true FROM cutover.marks_%1$s m WHERE m.key = u.mark) IS NULL
                AND (SELECT true FROM cutover.marks_%2$s m WHERE m.key = u.mark) IS NULL
              ORDER BY u.mark, u.sequence RETURNING sequence)
            SELECT array_agg(sequence) INTO v_taken FROM taken;
          ELSE
            WITH taken AS (
              INSERT INTO cutover.marks_%1$s (key, stream_id, sequence)
              SELECT DISTINCT ON (u.mark) u.mark, p_stream_id, u.sequence FROM unnest(p_marks, p_sequences) u (mark, sequence)
              WHERE u.mark IS NOT NULL AND (SELECT true FROM cutover.marks m WHERE m.key = u.mark) IS NULL
                AND (SELECT true FROM cutover.marks_%1$s m WHERE m.key = u.mark) IS NULL
              ORDER BY u.mark, u.sequence RETURNING sequence)
            SELECT array_agg(sequence) INTO v_taken FROM taken;
          END IF;
          RETURN coalesce(v_taken, '{}');
        EXCEPTION WHEN unique_violation THEN
          NULL;
        END;
        WITH taken AS (
          INSERT INTO cutover.marks_%1$s (key, stream_id, sequence)
          SELECT u.mark, p_stream_id, u.sequence FROM unnest(p_marks, p_sequences) u (mark, sequence)
          WHERE u.mark IS NOT NULL AND (SELECT true FROM cutover.marks m WHERE m.key = u.mark) IS NULL
            AND (SELECT true FROM cutover.marks_%2$s m WHERE m.key = u.mark) IS NULL
          ORDER BY u.mark, u.sequence
          ON CONFLICT DO NOTHING RETURNING sequence)
        SELECT array_agg(sequence) INTO v_taken FROM taken;
        RETURN coalesce(v_taken, '{}');
      END $b$ $f$, slot, 1 - slot);
  END LOOP;
END $$;

-- Marks what is to be applied or given up (a, u, g); what is marked already becomes a duplicate (d), unless a replay finds the mark that
-- its own letter holds. An unnest keeps the order of its arrays.
CREATE FUNCTION cutover.take_marks(
  p_ledger text, p_worker_id smallint, p_stream_id integer, p_slot smallint, p_idle_empty boolean, p_sequences bigint[], p_keys text[],
  p_status "char"[], p_replay boolean) RETURNS "char"[]
LANGUAGE plpgsql AS $$
DECLARE
  v_marks uuid[];
  v_held bigint[] := '{}';
  v_taken bigint[];
  v_status "char"[];
BEGIN
  IF cardinality(p_keys) = 1 THEN
    v_marks := ARRAY[CASE WHEN p_status[1] IN ('a', 'u', 'g') THEN cutover.mark_key(p_ledger, p_worker_id, p_keys[1]) END];
  ELSE
    SELECT array_agg(CASE WHEN u.status IN ('a', 'u', 'g') THEN cutover.mark_key(p_ledger, p_worker_id, u.key) END) INTO v_marks
    FROM unnest(p_keys, p_status) u (key, status);
  END IF;
  IF p_replay THEN
    SELECT coalesce(array_agg(u.sequence), '{}') INTO v_held
    FROM unnest(v_marks, p_sequences) u (mark, sequence)
    WHERE EXISTS (SELECT FROM (SELECT * FROM cutover.marks UNION ALL SELECT * FROM cutover.marks_0 UNION ALL SELECT * FROM cutover.marks_1) m
                  WHERE m.key = u.mark AND m.stream_id = p_stream_id AND m.sequence = u.sequence);
  END IF;
  IF p_slot = 0 THEN
    v_taken := cutover.insert_marks_0(p_stream_id, p_sequences, v_marks, p_idle_empty) || v_held;
  ELSE
    v_taken := cutover.insert_marks_1(p_stream_id, p_sequences, v_marks, p_idle_empty) || v_held;
  END IF;
  IF cardinality(v_taken) = cardinality(array_remove(v_marks, NULL)) THEN
    RETURN p_status;
  END IF;
  SELECT array_agg((CASE WHEN u.mark IS NOT NULL AND t.sequence IS NULL THEN 'd' ELSE u.status END)::"char" ORDER BY u.ord) INTO v_status
  FROM unnest(v_marks, p_sequences, p_status) WITH ORDINALITY u (mark, sequence, status, ord)
  LEFT JOIN unnest(v_taken) t (sequence) ON t.sequence = u.sequence;
  RETURN v_status;
END $$;

-- Records how the events of a batch were settled; the last statement before the commit.
--   p_side     'worker', 'monolith' or 'shadow'
--   p_classes  a character per event: a applied, d duplicate, n not addressed, x dead letter; r not settled: its mark is
--              taken back, so that the next delivery may try; - nothing
--   p_keys, p_versions  as for claim; read for ordered workers only
-- Replayed letters that are applied, duplicates or not addressed any more are closed. An ordered worker's versions are passed; check_violation when one
-- does not follow on those before.
CREATE FUNCTION cutover.settle(
  p_worker text, p_side text, p_stream text, p_incarnation integer,
  p_sequences bigint[], p_event_ids text[], p_keys text[], p_idempotency_keys text[], p_versions bigint[], p_replay_plans bigint[],
  p_classes text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan
SET jit = off SET enable_seqscan = off AS $$
DECLARE
  v_worker_id smallint;
  v_ordered boolean;
  v_stream_id integer;
BEGIN
  IF p_side NOT IN ('worker', 'monolith', 'shadow') THEN
    RAISE EXCEPTION 'unknown side %', quote_nullable(p_side) USING ERRCODE = 'CU001', HINT = 'It is worker, monolith or shadow.';
  END IF;
  SELECT w.worker_id, w.ordered, s.stream_id INTO STRICT v_worker_id, v_ordered, v_stream_id
  FROM cutover.workers w CROSS JOIN cutover.streams s
  WHERE w.worker = p_worker AND s.stream = p_stream AND s.incarnation = p_incarnation;

  INSERT INTO cutover.settlements (worker_id, stream_id, side, class, sequences, span, event_hashes)
  SELECT v_worker_id, v_stream_id, left(p_side, 1)::"char", u.class::"char",
         range_agg(int8range(u.sequence, u.sequence, '[]')), int8range(min(u.sequence), max(u.sequence), '[]'),
         array_agg(cutover.event_hash(u.event_id) ORDER BY u.sequence)
  FROM unnest(p_sequences, p_event_ids, string_to_array(p_classes, NULL)) u (sequence, event_id, class)
  WHERE u.class IN ('a', 'd', 'n', 'x')
  GROUP BY u.class;

  IF strpos(p_classes, 'r') > 0 THEN
    WITH given_back AS (
      SELECT cutover.mark_key(CASE p_side WHEN 'shadow' THEN 's' ELSE 'v' END, v_worker_id, u.key) AS mark, u.sequence
      FROM unnest(p_sequences, p_idempotency_keys, p_replay_plans, string_to_array(p_classes, NULL)) u (sequence, key, plan, class)
      WHERE u.class = 'r' AND u.plan = 0 AND u.key IS NOT NULL),
    zero AS (
      DELETE FROM cutover.marks_0 m USING given_back g WHERE m.key = g.mark AND m.sequence = g.sequence AND m.stream_id = v_stream_id),
    one AS (
      DELETE FROM cutover.marks_1 m USING given_back g WHERE m.key = g.mark AND m.sequence = g.sequence AND m.stream_id = v_stream_id)
    DELETE FROM cutover.marks m USING given_back g WHERE m.key = g.mark AND m.sequence = g.sequence AND m.stream_id = v_stream_id;
  END IF;

  IF 0 <> ANY (p_replay_plans) THEN
    UPDATE cutover.dead_letters d
    SET state = 'replayed', result = CASE u.class WHEN 'a' THEN 'applied' WHEN 'd' THEN 'already applied' ELSE 'not addressed' END
    FROM unnest(p_sequences, p_event_ids, p_replay_plans, string_to_array(p_classes, NULL)) u (sequence, event_id, plan, class)
    WHERE u.plan <> 0 AND u.class IN ('a', 'd', 'n') AND d.worker_id = v_worker_id AND d.stream_id = v_stream_id AND NOT d.shadow
      AND d.sequence = u.sequence AND d.event_hash = cutover.event_hash(u.event_id) AND d.state = 'replaying' AND d.plan_id = u.plan;
  END IF;

  IF v_ordered THEN
    PERFORM cutover.pass_settled(v_worker_id, p_side = 'shadow', v_stream_id, p_sequences, p_keys, p_versions, p_classes);
  END IF;
END $$;

-- What earlier deliveries left behind about these events, and a note that a batch with them is being worked on. Batches that
-- a process, now gone, left started make their events suspects.
CREATE FUNCTION cutover.start_redelivered(
  p_worker text, p_instance text, p_thread integer, p_stream text, p_incarnation integer, p_sequences bigint[], p_alone boolean)
RETURNS TABLE (sequence bigint, shadow boolean, attempts integer, lone_crashes integer, suspect boolean, first_failed_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_worker_id smallint;
  v_stream_id integer;
  v_left record;
BEGIN
  SELECT w.worker_id, s.stream_id INTO STRICT v_worker_id, v_stream_id
  FROM cutover.workers w CROSS JOIN cutover.streams s
  WHERE w.worker = p_worker AND s.stream = p_stream AND s.incarnation = p_incarnation;
  FOR v_left IN
    SELECT instance, thread, sequences, alone FROM cutover.started
    WHERE worker_id = v_worker_id AND stream_id = v_stream_id AND instance <> p_instance AND sequences && p_sequences
    ORDER BY instance, thread FOR UPDATE SKIP LOCKED
  LOOP
    -- Free only when its process is gone; ours to the end of this transaction, a few milliseconds.
    CONTINUE WHEN NOT pg_try_advisory_xact_lock(cutover.lock_class_instance(), hashtext(v_left.instance));
    INSERT INTO cutover.attempts AS a (worker_id, stream_id, sequence, lone_crashes, suspect, first_failed_at, last_failed_at, last_error)
    SELECT v_worker_id, v_stream_id, s, v_left.alone::integer, true, now(), now(), 'the process died while it worked on this event'
    FROM unnest(v_left.sequences) s ORDER BY s
    ON CONFLICT (worker_id, stream_id, sequence, shadow) DO UPDATE
      SET lone_crashes = a.lone_crashes + excluded.lone_crashes, suspect = true, last_failed_at = now(),
          first_failed_at = coalesce(a.first_failed_at, now()), last_error = excluded.last_error;
    DELETE FROM cutover.started WHERE instance = v_left.instance AND thread = v_left.thread;
  END LOOP;
  INSERT INTO cutover.started (instance, thread, worker_id, stream_id, sequences, alone)
  VALUES (p_instance, p_thread, v_worker_id, v_stream_id, p_sequences, p_alone)
  ON CONFLICT (instance, thread) DO UPDATE SET worker_id = excluded.worker_id, stream_id = excluded.stream_id,
    sequences = excluded.sequences, alone = excluded.alone, started_at = now();
  RETURN QUERY
    SELECT a.sequence, a.shadow, a.attempts, a.lone_crashes, a.suspect, a.first_failed_at FROM cutover.attempts a
    WHERE a.worker_id = v_worker_id AND a.stream_id = v_stream_id AND a.sequence = ANY (p_sequences);
END $$;

-- Counts one failed attempt of one event; returns how many there are now.
CREATE FUNCTION cutover.add_attempt(p_worker text, p_stream text, p_incarnation integer, p_sequence bigint, p_shadow boolean, p_error text)
RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO cutover.attempts AS a (worker_id, stream_id, sequence, shadow, attempts, first_failed_at, last_failed_at, last_error)
  SELECT w.worker_id, s.stream_id, p_sequence, p_shadow, 1, now(), now(), left(p_error, 2048)
  FROM cutover.workers w CROSS JOIN cutover.streams s
  WHERE w.worker = p_worker AND s.stream = p_stream AND s.incarnation = p_incarnation
  ON CONFLICT (worker_id, stream_id, sequence, shadow) DO UPDATE
    SET attempts = a.attempts + 1, first_failed_at = coalesce(a.first_failed_at, now()), last_failed_at = now(), last_error = excluded.last_error
  RETURNING attempts
$$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA cutover FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cutover.schema_version(), cutover.bucket(text), cutover.event_hash(text),
  cutover.lock_class_worker(), cutover.lock_class_instance(), cutover.lock_class_relay(), cutover.lock_class_upkeep()
  TO PUBLIC;
GRANT EXECUTE ON FUNCTION cutover.stream_incarnation(text, timestamptz), cutover.register_worker(text, boolean, text),
  cutover.claim(text, text, text, text, integer, bigint[], text[], text[], text[], bigint[], bigint[]),
  cutover.settle(text, text, text, integer, bigint[], text[], text[], text[], bigint[], bigint[], text),
  cutover.start_redelivered(text, text, integer, text, integer, bigint[], boolean),
  cutover.add_attempt(text, text, integer, bigint, boolean, text),
  cutover.write_dead_letter(text, text, boolean, text, text, text, integer, bigint, text, text, text, text, text, text, text, bigint,
    text, text, text, integer, timestamptz, timestamptz, jsonb, bytea)
  TO cutover_worker, cutover_monolith;
GRANT EXECUTE ON FUNCTION cutover.shadow_period(smallint),
  cutover.claim_shadow(text, text, integer, bigint[], text[], text[], text[], bigint[], bigint[]) TO cutover_worker;

COMMIT;
