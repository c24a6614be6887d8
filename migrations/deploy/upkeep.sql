-- Deploy cutover:upkeep to pg
-- requires: claim
-- Upkeep of the ledger: marks that nobody needs any more leave, runs of settled sequences become ranges, and both sides note how far they are.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION cutover.schema_version() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 6';

-- Makes the empty slot the active one, when the active one has outgrown p_bytes. Waits at most 100 ms for batches in
-- flight, so that it never stalls a lane. Returns whether it did.
CREATE FUNCTION cutover.rotate_marks(p_bytes bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_slot smallint;
  v_idle_empty boolean;
BEGIN
  SELECT slot, idle_empty INTO v_slot, v_idle_empty FROM cutover.mark_slot FOR UPDATE;
  IF NOT v_idle_empty
     OR pg_relation_size(CASE v_slot WHEN 0 THEN 'cutover.marks_0' ELSE 'cutover.marks_1' END::regclass) < p_bytes THEN
    RETURN false;
  END IF;
  PERFORM set_config('lock_timeout', '100ms', true);
  BEGIN
    PERFORM pg_advisory_xact_lock(cutover.lock_class_worker(), worker_id) FROM (SELECT worker_id FROM cutover.workers ORDER BY worker_id) w;
  EXCEPTION WHEN lock_not_available THEN
    RETURN false;
  END;
  UPDATE cutover.mark_slot SET slot = 1 - slot, idle_empty = false, rotated_at = now();
  RETURN true;
END $$;

-- Merges up to p_limit marks of the idle slot into the big table, in key order: neighbours share pages. Returns how many.
CREATE FUNCTION cutover.merge_marks(p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_slot smallint;
  v_count integer;
  v_more boolean := true;
BEGIN
  SELECT slot INTO v_slot FROM cutover.mark_slot FOR SHARE;
  IF v_slot = 0 THEN
    WITH moved AS (
      DELETE FROM cutover.marks_1 WHERE key IN (SELECT key FROM cutover.marks_1 ORDER BY key LIMIT p_limit) RETURNING *)
    INSERT INTO cutover.marks SELECT * FROM moved ORDER BY key ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_count < p_limit THEN
      v_more := EXISTS (SELECT FROM cutover.marks_1);
    END IF;
  ELSE
    WITH moved AS (
      DELETE FROM cutover.marks_0 WHERE key IN (SELECT key FROM cutover.marks_0 ORDER BY key LIMIT p_limit) RETURNING *)
    INSERT INTO cutover.marks SELECT * FROM moved ORDER BY key ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_count < p_limit THEN
      v_more := EXISTS (SELECT FROM cutover.marks_0);
    END IF;
  END IF;
  IF NOT v_more THEN
    -- Nothing is inserted into the idle slot: this was the end of it.
    UPDATE cutover.mark_slot SET idle_empty = true WHERE NOT idle_empty AND slot = v_slot;
  END IF;
  RETURN v_count;
END $$;

-- Deletes marks that are older than the horizon and that nothing unsettled is as old as, in a stretch of the key space.
-- Open dead letters keep theirs. Returns where to go on; null at the end.
CREATE FUNCTION cutover.expire_marks(p_after uuid, p_limit integer, p_horizon interval) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_last uuid;
BEGIN
  -- Copies have left when none waits in the outbox any more; they are settled when everything published by then is.
  UPDATE cutover.copies SET gone_at = now()
  WHERE gone_at IS NULL AND NOT EXISTS (SELECT FROM cutover.outbox o WHERE o.published_at IS NULL AND o.available_at IS NULL
                                        AND o.headers ? 'Cutover-Republished-From');
  SELECT k.key INTO v_last FROM (
    SELECT key FROM cutover.marks WHERE key > coalesce(p_after, '00000000-0000-0000-0000-000000000000') ORDER BY key LIMIT p_limit) k
  ORDER BY k.key DESC LIMIT 1;
  -- A duplicate may have been published up to a horizon after the mark, in this life of the stream or a later one: all of
  -- that must be published and settled, by everyone, with copies counting as their originals.
  WITH settled AS MATERIALIZED (
    SELECT s.stream, min(p.settled_before) AS before
    FROM cutover.progress p JOIN cutover.streams s USING (stream_id)
    WHERE p.at > now() - interval '7 days' AND s.incarnation = (SELECT max(n.incarnation) FROM cutover.streams n WHERE n.stream = s.stream)
    GROUP BY s.stream),
  safe AS MATERIALIZED (
    SELECT s.stream_id, least(t.before, (SELECT min(c.published_at) FROM cutover.copies c
                                         WHERE c.stream = t.stream AND (c.gone_at IS NULL OR c.gone_at >= t.before)),
                              (SELECT o.created_at FROM cutover.outbox o WHERE o.published_at IS NULL AND o.available_at IS NULL
                               ORDER BY o.outbox_id LIMIT 1)) AS before
    FROM settled t JOIN cutover.streams s USING (stream))
  DELETE FROM cutover.marks m USING safe
  WHERE m.key > coalesce(p_after, '00000000-0000-0000-0000-000000000000') AND m.key <= v_last
    AND safe.stream_id = m.stream_id AND m.marked_at < safe.before - p_horizon
    AND NOT EXISTS (SELECT FROM cutover.dead_letters d WHERE d.stream_id = m.stream_id AND d.sequence = m.sequence
                    AND d.state IN ('open', 'replaying'));
  DELETE FROM cutover.copies c WHERE c.gone_at < now() - interval '7 days' AND c.gone_at < (
    SELECT min(p.settled_before) FROM cutover.progress p JOIN cutover.streams s USING (stream_id)
    WHERE s.stream = c.stream AND p.at > now() - interval '7 days');
  RETURN v_last;
END $$;

-- Merges settlements into one row for each block of 8,192 sequences, without event ids: of those sequences the broker can hold no
-- other event any more. That is so when every side that reports about the stream said, p_age or more after the settlement, that it
-- has all below a higher sequence behind it: p_age is more than the broker takes to write to disk, so what it held by then stays.
-- (A batch in flight when the broker loses its tail commits for an event that is gone; who then takes the new event at its sequence
-- must still see that it is another.) Looks at the p_rows oldest settlements of a worker in a stream; returns how many it merged.
CREATE FUNCTION cutover.compact_settlements(p_age interval, p_rows integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_count integer;
BEGIN
  WITH floors AS MATERIALIZED (
    SELECT f.worker_id, f.stream_id, coalesce(min(f.settled_below) FILTER (WHERE NOT g.gone), 9223372036854775807) AS below,
           coalesce(min(f.at) FILTER (WHERE NOT g.gone), now()) AS at
    FROM cutover.floors f JOIN cutover.streams s USING (stream_id)
    CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM cutover.streams n WHERE n.stream = s.stream AND n.incarnation > s.incarnation) AS gone) g
    WHERE g.gone OR f.at > now() - interval '7 days'
    GROUP BY f.worker_id, f.stream_id),
  old AS (
    DELETE FROM cutover.settlements WHERE ctid = ANY (ARRAY(
      SELECT t.ctid FROM floors f CROSS JOIN LATERAL (
        SELECT s.ctid, s.span FROM cutover.settlements s
        WHERE s.worker_id = f.worker_id AND s.stream_id = f.stream_id AND s.event_hashes IS NOT NULL AND s.settled_at < f.at - p_age
        ORDER BY s.settled_at LIMIT p_rows) t
      WHERE upper(t.span) <= f.below LIMIT p_rows))
    RETURNING *),
  pieces AS (
    SELECT o.worker_id, o.stream_id, o.side, o.class, b.block, o.settled_at,
           o.sequences * int8multirange(int8range(b.block * 8192, (b.block + 1) * 8192)) AS sequences
    FROM old o CROSS JOIN LATERAL generate_series(lower(o.span) / 8192, (upper(o.span) - 1) / 8192) b (block)),
  earlier AS (
    DELETE FROM cutover.settlements s USING (SELECT DISTINCT worker_id, stream_id, side, class, block FROM pieces) t
    WHERE s.event_hashes IS NULL AND s.worker_id = t.worker_id AND s.stream_id = t.stream_id AND s.side = t.side
      AND s.class = t.class AND s.span <@ int8range(t.block * 8192, (t.block + 1) * 8192)
    RETURNING s.worker_id, s.stream_id, s.side, s.class, t.block, s.settled_at, s.sequences),
  merged AS (
    SELECT worker_id, stream_id, side, class, block, max(settled_at) AS settled_at, range_agg(sequences) AS sequences
    FROM (SELECT * FROM pieces UNION ALL SELECT worker_id, stream_id, side, class, block, settled_at, sequences FROM earlier) p
    WHERE NOT isempty(sequences) GROUP BY worker_id, stream_id, side, class, block),
  inserted AS (
    INSERT INTO cutover.settlements (worker_id, stream_id, side, class, sequences, span, settled_at)
    SELECT worker_id, stream_id, side, class, sequences, range_merge(sequences), settled_at FROM merged)
  SELECT count(*) INTO v_count FROM old;
  RETURN v_count;
END $$;

-- Forgets notes about failures that mean nothing any more, older than p_age: what they are about was settled by another
-- delivery or by the other side, or left its stream a month ago. (What settles an event forgets its own.)
CREATE FUNCTION cutover.forget_settled(p_age interval) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  DELETE FROM cutover.attempts a
  WHERE a.last_failed_at < now() - interval '30 days' OR (a.last_failed_at < now() - p_age AND EXISTS (
    SELECT FROM cutover.settlements t WHERE t.worker_id = a.worker_id AND t.stream_id = a.stream_id AND (t.side = 's') = a.shadow
      AND t.span && int8range(a.sequence, a.sequence, '[]') AND t.sequences @> a.sequence));
  DELETE FROM cutover.started b
  WHERE b.started_at < now() - p_age AND NOT EXISTS (
    SELECT FROM unnest(b.sequences) u (sequence) WHERE NOT EXISTS (
      SELECT FROM cutover.settlements t WHERE t.worker_id = b.worker_id AND t.stream_id = b.stream_id
        AND t.span && int8range(u.sequence, u.sequence, '[]') AND t.sequences @> u.sequence));
  DELETE FROM cutover.waiting a
  WHERE a.since < now() - interval '30 days' OR (a.since < now() - p_age AND EXISTS (
    SELECT FROM cutover.settlements t WHERE t.worker_id = a.worker_id AND t.stream_id = a.stream_id AND (t.side = 's') = a.shadow
      AND t.span && int8range(a.sequence, a.sequence, '[]') AND t.sequences @> a.sequence));
$$;

-- Notes that a side has no backlog: everything published an hour before now, or before its oldest failing event, is settled.
CREATE FUNCTION cutover.note_no_backlog(p_worker text, p_side text, p_stream text, p_incarnation integer) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO cutover.progress (worker_id, stream_id, side, settled_before)
  SELECT w.worker_id, s.stream_id, left(p_side, 1)::"char",
         least(now(), (SELECT min(a.first_failed_at) FROM cutover.attempts a
                       WHERE a.worker_id = w.worker_id AND a.stream_id = s.stream_id)) - interval '1 hour'
  FROM cutover.workers w CROSS JOIN cutover.streams s
  WHERE w.worker = p_worker AND s.stream = p_stream AND s.incarnation = p_incarnation
  ON CONFLICT (worker_id, stream_id, side) DO UPDATE
    SET settled_before = greatest(cutover.progress.settled_before, excluded.settled_before), at = now()
$$;

-- Notes that a side has acknowledged everything below a sequence, of what is in the stream now. It has no backlog: the largest bigint.
CREATE FUNCTION cutover.note_settled_below(p_worker text, p_side text, p_stream text, p_incarnation integer, p_below bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO cutover.floors (worker_id, stream_id, side, settled_below)
  SELECT w.worker_id, s.stream_id, left(p_side, 1)::"char", p_below
  FROM cutover.workers w CROSS JOIN cutover.streams s
  WHERE w.worker = p_worker AND s.stream = p_stream AND s.incarnation = p_incarnation
  ON CONFLICT (worker_id, stream_id, side) DO UPDATE SET settled_below = excluded.settled_below, at = now()
$$;

REVOKE EXECUTE ON FUNCTION cutover.rotate_marks, cutover.merge_marks, cutover.expire_marks, cutover.compact_settlements, cutover.forget_settled,
  cutover.note_no_backlog, cutover.note_settled_below FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cutover.rotate_marks(bigint), cutover.merge_marks(integer), cutover.expire_marks(uuid, integer, interval),
  cutover.compact_settlements(interval, integer), cutover.forget_settled(interval)
  TO cutover_worker;
GRANT EXECUTE ON FUNCTION cutover.note_no_backlog(text, text, text, integer), cutover.note_settled_below(text, text, text, integer, bigint) TO cutover_worker, cutover_monolith;

COMMIT;
