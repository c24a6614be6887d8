-- Deploy cutover:dead_letters to pg
-- requires: outbox
-- Events that a worker gave up on, with everything needed to understand and replay them. The row is the truth about a
-- letter's state; stream DLQ carries a copy for whoever listens.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION cutover.schema_version() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 4';

CREATE TABLE cutover.dead_letters (
  letter_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  worker_id       smallint NOT NULL REFERENCES cutover.workers,
  stream_id       integer NOT NULL REFERENCES cutover.streams,
  sequence        bigint NOT NULL,
  shadow          boolean NOT NULL,
  event_hash      bigint NOT NULL,         -- cutover.event_hash(event_id): a broker can reuse a sequence
  state           text NOT NULL DEFAULT 'open'
                  CHECK (state IN ('open', 'replaying', 'replayed', 'handed over', 'dropped', 'seized')),
  plan_id         bigint,                  -- of the replay under way, or the last one
  result          text,                    -- what its last replay came to: applied, already applied, not addressed, failed again
  lane            text NOT NULL,
  side            text NOT NULL CHECK (side IN ('worker', 'monolith')),
  subject         text NOT NULL,
  event_id        text NOT NULL,           -- empty where it could not be read, like the next ones
  event_name      text NOT NULL,
  key             text NOT NULL,
  tenant_scope    text NOT NULL,
  idempotency_key text NOT NULL,
  version         bigint NOT NULL DEFAULT 0,  -- of the subject; 0: unknown
  kind            text NOT NULL
                  CHECK (kind IN ('malformed', 'unsupported_version', 'rejected', 'transient', 'crash_suspect', 'gap')),
  error           text NOT NULL,           -- at most 2 KiB, no payload
  error_group     text NOT NULL,           -- the error with ids and numbers masked
  group_id        text NOT NULL GENERATED ALWAYS AS (left(md5(worker_id || ' ' || lane || ' ' || kind || ' ' || error_group), 8)) STORED,
  attempts        integer NOT NULL,
  first_failed_at timestamptz NOT NULL,
  last_failed_at  timestamptz NOT NULL,
  history         jsonb NOT NULL,          -- [{at, kind, error, attempts, instance, build}], oldest first; edits: [{at, edited_by, reason}]
  published_at    timestamptz NOT NULL,    -- when the broker stored the event
  headers         jsonb NOT NULL,          -- [[name, value], ...] as received; bytes that are no text: [name, null, base64]
  payload         bytea NOT NULL,          -- as received, or as edited: what a replay sends
  original        bytea,                   -- as received, once it was edited
  UNIQUE (worker_id, stream_id, sequence, shadow, event_hash)
);
CREATE INDEX dead_letters_open ON cutover.dead_letters (worker_id, group_id, kind) WHERE state IN ('open', 'replaying') AND NOT shadow;

CREATE FUNCTION cutover.event_hash(p_event_id text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT hashtextextended(p_event_id, 0)';

-- Writes the letter of one event and its copy for stream DLQ; a letter that failed again on replay is opened again with a
-- longer history. The caller settles the event in the same transaction.
CREATE FUNCTION cutover.write_dead_letter(
  p_worker text, p_side text, p_shadow boolean, p_instance text, p_build text,
  p_stream text, p_incarnation integer, p_sequence bigint, p_event_id text, p_event_name text,
  p_lane text, p_subject text, p_key text, p_tenant_scope text, p_idempotency_key text, p_version bigint,
  p_kind text, p_error text, p_error_group text, p_attempts integer, p_first_failed_at timestamptz,
  p_published_at timestamptz, p_headers jsonb, p_payload bytea)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_worker_id smallint;
  v_stream_id integer;
  v_entry jsonb;
  v_new boolean;
  v_first timestamptz := coalesce(p_first_failed_at, now());
  -- With its headers beside it, the largest message that a broker takes (1 MiB unless told otherwise) would be refused.
  v_large boolean := octet_length(p_payload) + octet_length(p_headers::text) > 900 * 1024;
BEGIN
  SELECT worker_id INTO STRICT v_worker_id FROM cutover.workers WHERE worker = p_worker;
  SELECT stream_id INTO STRICT v_stream_id FROM cutover.streams WHERE stream = p_stream AND incarnation = p_incarnation;
  v_entry := jsonb_build_object('at', now(), 'kind', p_kind, 'error', p_error, 'attempts', p_attempts,
                                'instance', p_instance, 'build', p_build);
  INSERT INTO cutover.dead_letters AS d (worker_id, stream_id, sequence, shadow, event_hash, lane, side, subject, event_id,
    event_name, key, tenant_scope, idempotency_key, version, kind, error, error_group, attempts, first_failed_at, last_failed_at,
    history, published_at, headers, payload)
  VALUES (v_worker_id, v_stream_id, p_sequence, p_shadow, cutover.event_hash(p_event_id), p_lane, p_side, p_subject, p_event_id,
    p_event_name, p_key, p_tenant_scope, p_idempotency_key, coalesce(p_version, 0), p_kind, p_error, p_error_group, p_attempts, v_first, now(),
    jsonb_build_array(v_entry), p_published_at, p_headers, p_payload)
  ON CONFLICT (worker_id, stream_id, sequence, shadow, event_hash) DO UPDATE
    SET state = 'open', kind = excluded.kind, error = excluded.error, error_group = excluded.error_group,
        attempts = d.attempts + excluded.attempts, last_failed_at = excluded.last_failed_at, history = d.history || excluded.history,
        result = CASE WHEN d.state = 'replaying' THEN 'failed again' END
  RETURNING jsonb_array_length(history) = 1 INTO v_new;
  IF v_new THEN
    INSERT INTO cutover.outbox (message_id, subject, key, payload, headers, worker_id)
    VALUES (
      format('dlq:%s%s:%s:%s:%s:%s', CASE WHEN p_shadow THEN 'shadow:' ELSE '' END, p_worker, p_stream, p_incarnation,
             p_sequence, cutover.event_hash(p_event_id)),
      format('%sdlq.%s.%s', CASE WHEN p_shadow THEN 'shadow.' ELSE '' END, p_worker, p_lane),
      -- A key of its own: letters wait for nothing, and nothing waits for them.
      format('dlq:%s:%s:%s:%s', p_worker, p_stream, p_incarnation, p_sequence),
      CASE WHEN v_large THEN '' ELSE p_payload END,
      jsonb_strip_nulls(jsonb_build_object(
        'Cutover-Origin-Stream', p_stream, 'Cutover-Origin-Incarnation', p_incarnation::text,
        'Cutover-Origin-Sequence', p_sequence::text, 'Cutover-Origin-Subject', p_subject,
        'Cutover-Origin-Consumer', p_worker || '-' || p_lane,
        'Cutover-Origin-Time', to_char(p_published_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'Cutover-Origin-Key', p_key,
        'Cutover-Origin-Headers', CASE WHEN NOT v_large THEN p_headers::text END,
        'Cutover-Omitted', CASE WHEN v_large THEN 'payload and headers: read cutover.dead_letters' END,
        'traceparent', (SELECT h ->> 1 FROM jsonb_array_elements(p_headers) h WHERE h ->> 0 = 'traceparent' LIMIT 1),
        'tracestate', (SELECT h ->> 1 FROM jsonb_array_elements(p_headers) h WHERE h ->> 0 = 'tracestate' LIMIT 1),
        'Cutover-Attempts', p_attempts::text,
        'Cutover-First-Failure', to_char(v_first AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'Cutover-Last-Failure', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'Cutover-Failure-Kind', p_kind, 'Cutover-Error', regexp_replace(p_error, '[[:cntrl:]]+', ' ', 'g'),
        'Cutover-Instance', p_instance, 'Cutover-Build', p_build)),
      v_worker_id);
  END IF;
END $$;

GRANT SELECT ON cutover.dead_letters TO cutover_worker, cutover_monolith, cutover_operator;

COMMIT;
