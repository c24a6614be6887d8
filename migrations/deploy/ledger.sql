-- Deploy cutover:ledger to pg
-- requires: schemas
-- Which events were worked on, by whom, and how each sequence of a stream was settled.
BEGIN;
SET LOCAL lock_timeout = '5s';

-- Grows by one with every migration; a build refuses to start below the version that it needs.
CREATE FUNCTION cutover.schema_version() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 2';

CREATE TABLE cutover.workers (
  worker_id     smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  worker        text NOT NULL UNIQUE CHECK (worker ~ '^[a-z][a-z0-9-]{0,62}$'),
  ordered       boolean NOT NULL DEFAULT false,      -- the events of an aggregate are applied in order of their versions
  gap_limit     interval NOT NULL DEFAULT '10 min',  -- how long an event of an ordered worker waits for its predecessor
  first_owner   text NOT NULL DEFAULT 'worker' CHECK (first_owner IN ('worker', 'monolith')),  -- of all events, before anything is decided
  registered_at timestamptz NOT NULL DEFAULT now()
);
-- These leave a monolith: it goes on until an operator says otherwise.
INSERT INTO cutover.workers (worker, ordered, first_owner)
VALUES ('search-projector', false, 'monolith'), ('score-orchestrator', false, 'monolith'), ('dispute-processor', true, 'monolith');

-- The lives of a stream. A stream that was deleted and made anew is another one: its sequences mean other events.
CREATE TABLE cutover.streams (
  stream_id   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  stream      text NOT NULL,
  incarnation integer NOT NULL,
  created_at  timestamptz NOT NULL,  -- the broker's
  known_since timestamptz NOT NULL DEFAULT now(),
  UNIQUE (stream, incarnation),
  UNIQUE (stream, created_at)
);

-- Who owns which events, append-only; without a segment every event is workers.first_owner's.
CREATE TABLE cutover.ownership (
  worker_id     smallint NOT NULL REFERENCES cutover.workers,
  epoch         bigint NOT NULL,
  stream_id     integer NOT NULL REFERENCES cutover.streams,
  from_sequence bigint NOT NULL,
  mode          text NOT NULL CHECK (mode IN ('monolith', 'shadow', 'canary', 'worker')),
  percent       numeric(5, 2) NOT NULL DEFAULT 0 CHECK (percent BETWEEN 0 AND 100),
  actor         text NOT NULL,
  reason        text NOT NULL,
  at            timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (worker_id, stream_id, epoch)
);

-- Was this key applied? One row for each key that was worked on. New keys go to the small table of the active slot, whose
-- pages are hot however random the keys are; a full slot is merged into `marks` in key order, in the background.
CREATE TABLE cutover.marks (
  key       uuid PRIMARY KEY,   -- cutover.mark_key()
  stream_id integer NOT NULL,   -- the place that holds it
  sequence  bigint NOT NULL,
  marked_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE cutover.marks_0 (LIKE cutover.marks INCLUDING ALL);
CREATE TABLE cutover.marks_1 (LIKE cutover.marks INCLUDING ALL);
CREATE TABLE cutover.mark_slot (
  slot       smallint NOT NULL CHECK (slot IN (0, 1)),
  idle_empty boolean NOT NULL DEFAULT true,  -- the other slot was merged to its end
  rotated_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO cutover.mark_slot (slot) VALUES (0);

-- How was this sequence settled, by which side? One row for each batch and class.
CREATE TABLE cutover.settlements (
  worker_id    smallint NOT NULL,
  stream_id    integer NOT NULL,
  side         "char" NOT NULL,      -- w worker, m monolith, s shadow; settle and seize write no other, and a CHECK costs each batch 25 us
  class        "char" NOT NULL,      -- a applied, d duplicate, n not addressed, x dead letter, z seized
  sequences    int8multirange NOT NULL,
  span         int8range NOT NULL,   -- from the first to the last of `sequences`
  event_hashes bigint[],             -- of the event ids, in order of sequence; null once compacted
  settled_at   timestamptz NOT NULL DEFAULT now()
) WITH (toast_tuple_target = 8160, autovacuum_vacuum_insert_scale_factor = 0.5);
-- Where the server has it, the cheaper compression: a batch writes one such row, and spends half as long on it.
DO $$
BEGIN
  ALTER TABLE cutover.settlements ALTER sequences SET COMPRESSION lz4, ALTER event_hashes SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
  NULL;
END $$;
CREATE INDEX settlements_place ON cutover.settlements USING gist (worker_id, stream_id, span);
CREATE INDEX settlements_age ON cutover.settlements USING brin (settled_at) WITH (pages_per_range = 16);
-- What is to be compacted next; the other index knows no page before it was summarised.
CREATE INDEX settlements_whole ON cutover.settlements (worker_id, stream_id, settled_at) WHERE event_hashes IS NOT NULL;

-- The highest sequence that a side passed over because the other side owns it, by instance.
CREATE TABLE cutover.skipped (
  worker_id smallint NOT NULL,
  stream_id integer NOT NULL,
  side      "char" NOT NULL,
  instance  text NOT NULL,
  sequence  bigint NOT NULL,
  at        timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (worker_id, stream_id, side, instance)
);

-- Failures of events that are not settled yet.
CREATE TABLE cutover.attempts (
  worker_id       smallint NOT NULL,
  stream_id       integer NOT NULL,
  sequence        bigint NOT NULL,
  shadow          boolean NOT NULL DEFAULT false,
  attempts        integer NOT NULL DEFAULT 0,
  lone_crashes    integer NOT NULL DEFAULT 0,     -- a process died while the event was alone in its batch
  suspect         boolean NOT NULL DEFAULT false, -- a process died while it was in its batch
  first_failed_at timestamptz,
  last_failed_at  timestamptz,
  last_error      text,
  PRIMARY KEY (worker_id, stream_id, sequence, shadow)
);

-- Batches with redelivered events that are being worked on; what a dead process leaves here is tried alone.
CREATE TABLE cutover.started (
  instance   text NOT NULL,
  thread     integer NOT NULL,
  worker_id  smallint NOT NULL,
  stream_id  integer NOT NULL,
  sequences  bigint[] NOT NULL,
  alone      boolean NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (instance, thread)
);

-- Running and past processes. An instance holds the advisory lock cutover.instance_lock(instance) while it lives.
CREATE TABLE cutover.instances (
  instance   text NOT NULL,
  worker_id  smallint NOT NULL REFERENCES cutover.workers,
  side       text NOT NULL CHECK (side IN ('worker', 'monolith')),
  build      text NOT NULL,
  host       text NOT NULL,
  pid        integer NOT NULL,
  ready      boolean NOT NULL DEFAULT false,
  detail     jsonb NOT NULL DEFAULT '{}',  -- lanes: pending, ack pending, condition
  started_at timestamptz NOT NULL DEFAULT now(),
  seen_at    timestamptz NOT NULL DEFAULT now(),
  stopped_at timestamptz,
  PRIMARY KEY (instance, worker_id)
);
CREATE INDEX instances_seen ON cutover.instances (worker_id, seen_at);

-- How far a side has settled a stream: everything published before `settled_before` is settled.
CREATE TABLE cutover.progress (
  worker_id      smallint NOT NULL,
  stream_id      integer NOT NULL,
  side           "char" NOT NULL,
  settled_before timestamptz NOT NULL,
  at             timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (worker_id, stream_id, side)
);

-- The same by sequence: of what was in the stream at the time `at`, everything below `settled_below` is acknowledged by the side.
CREATE TABLE cutover.floors (
  worker_id     smallint NOT NULL,
  stream_id     integer NOT NULL,
  side          "char" NOT NULL,
  settled_below bigint NOT NULL,
  at            timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (worker_id, stream_id, side)
);

-- Which versions of an aggregate an ordered worker applied, or an operator dropped: nothing comes out of order, nothing twice.
CREATE TABLE cutover.aggregates (
  worker_id smallint NOT NULL,
  shadow    boolean NOT NULL,
  key       text NOT NULL,           -- Cutover-Key
  versions  int8multirange NOT NULL,
  PRIMARY KEY (worker_id, shadow, key)
);

-- Events of ordered workers that came before their predecessor; they are delivered again and again until it came.
CREATE TABLE cutover.waiting (
  worker_id  smallint NOT NULL,
  stream_id  integer NOT NULL,
  sequence   bigint NOT NULL,
  shadow     boolean NOT NULL,
  event_hash bigint NOT NULL,
  key        text NOT NULL,
  version    bigint NOT NULL,
  since      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (worker_id, stream_id, sequence, shadow)
);

-- Events that were published again at a later place: for the expiry of marks they count by their first publication.
CREATE TABLE cutover.copies (
  stream       text NOT NULL,
  published_at timestamptz NOT NULL,               -- none of the originals is older; '-infinity': unknown
  written_at   timestamptz NOT NULL DEFAULT now(),
  gone_at      timestamptz                         -- by then all copies had left the outbox
);

-- Advisory lock classes; the second number is a worker, a shard or a hash.
CREATE FUNCTION cutover.lock_class_worker() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1668641901';
CREATE FUNCTION cutover.lock_class_instance() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1668641902';
CREATE FUNCTION cutover.lock_class_relay() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1668641903';
CREATE FUNCTION cutover.lock_class_upkeep() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1668641904';

-- Makes a worker known; harmless when it is.
--   p_ordered      true declares that its events need the order of their versions, once and for all
--   p_first_owner  of its events while nothing was decided; the first registration says it
CREATE FUNCTION cutover.register_worker(p_worker text, p_ordered boolean DEFAULT false, p_first_owner text DEFAULT 'worker') RETURNS smallint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_id smallint;
  v_ordered boolean;
BEGIN
  SELECT worker_id, ordered INTO v_id, v_ordered FROM cutover.workers WHERE worker = p_worker;
  IF NOT FOUND THEN
    INSERT INTO cutover.workers (worker, ordered, first_owner) VALUES (p_worker, p_ordered, p_first_owner) ON CONFLICT DO NOTHING;
    SELECT worker_id, ordered INTO v_id, v_ordered FROM cutover.workers WHERE worker = p_worker;
  END IF;
  IF p_ordered AND NOT v_ordered THEN
    UPDATE cutover.workers SET ordered = true WHERE worker_id = v_id;
  END IF;
  RETURN v_id;
END $$;

-- The incarnation of the stream that the broker created at p_created_at. A stream seen for the first time gets 1; a known
-- stream with another creation time was deleted and made anew, and nobody may go on before an operator says so. (SHADOW brings
-- back what shadow itself sent, so a new life of it is taken as it comes.)
CREATE FUNCTION cutover.stream_incarnation(p_stream text, p_created_at timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_incarnation integer;
  v_known timestamptz;
BEGIN
  INSERT INTO cutover.streams (stream, incarnation, created_at)
  SELECT p_stream, coalesce(max(incarnation), 0) + 1, p_created_at FROM cutover.streams WHERE stream = p_stream
  HAVING max(incarnation) IS NULL OR (p_stream = 'SHADOW' AND bool_and(created_at <> p_created_at))
  ON CONFLICT DO NOTHING;
  SELECT incarnation, created_at INTO v_incarnation, v_known
  FROM cutover.streams WHERE stream = p_stream ORDER BY incarnation DESC LIMIT 1;
  IF v_known <> p_created_at THEN
    RAISE EXCEPTION 'stream % was deleted and created anew: the broker created it at %, incarnation % known here was created at %',
      p_stream, p_created_at, v_incarnation, v_known
      USING ERRCODE = 'CU002', HINT = 'Nothing is processed from it until an operator starts a new incarnation.';
  END IF;
  RETURN v_incarnation;
END $$;

GRANT SELECT ON ALL TABLES IN SCHEMA cutover TO cutover_operator, cutover_worker, cutover_monolith, cutover_relay;
GRANT INSERT, UPDATE ON cutover.instances, cutover.progress TO cutover_worker, cutover_monolith;
GRANT INSERT, UPDATE, DELETE ON cutover.attempts, cutover.started TO cutover_worker, cutover_monolith;

COMMIT;
