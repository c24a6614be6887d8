-- Deploy cutover:outbox to pg
-- requires: ledger
-- Outgoing events, written in the producer's transaction by workers and the monolith alike; `cutover relay` publishes them.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION cutover.schema_version() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 3';

CREATE TABLE cutover.outbox (
  outbox_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  message_id   text NOT NULL,               -- Nats-Msg-Id: the event id, for a first publication
  subject      text NOT NULL,
  key          text NOT NULL,               -- Cutover-Key; rows of one key leave in insert order
  payload      bytea NOT NULL,
  headers      jsonb,                       -- {"traceparent": "..."}; without Nats-Msg-Id and Cutover-Key
  priority     smallint NOT NULL DEFAULT 5 CHECK (priority BETWEEN 0 AND 9),  -- 0 leaves first
  shard        smallint GENERATED ALWAYS AS ((hashtext(key) & 15)::smallint) STORED,
  available_at timestamptz,                 -- a timer: leaves at this time
  timer_key    text,                        -- a timer that can be cancelled or replaced
  schedule     text,                        -- cron expression of a timer that re-arms itself
  event_id     text,                        -- of the envelope; null for copies and dead letters
  worker_id    smallint,                    -- whose effect it is; null: the monolith's
  created_at   timestamptz NOT NULL DEFAULT now(),
  published_at timestamptz,                 -- null: waits
  stream       text,                        -- where it was stored
  sequence     bigint,
  attempts     integer NOT NULL DEFAULT 0,  -- publications that failed
  error        text                         -- of the last one
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);

-- The three indexes of waiting rows say the same in different words, so that each query of the relay can use its own only:
-- to the planner all three look empty, and it would read a whole backlog through the wrong one.
CREATE INDEX outbox_waiting ON cutover.outbox (priority, outbox_id) WHERE num_nulls(published_at, available_at) = 2;
-- The oldest rows that wait, without a walk over the published ones that are still kept.
CREATE INDEX outbox_waiting_age ON cutover.outbox (outbox_id) WHERE published_at IS NULL AND available_at IS NULL;
CREATE INDEX outbox_waiting_key ON cutover.outbox (key, outbox_id) WHERE coalesce(published_at, available_at) IS NULL;
CREATE INDEX outbox_timers ON cutover.outbox (available_at) WHERE published_at IS NULL AND available_at IS NOT NULL;
CREATE UNIQUE INDEX outbox_timer_key ON cutover.outbox (timer_key) WHERE published_at IS NULL AND timer_key IS NOT NULL;
CREATE INDEX outbox_published ON cutover.outbox (published_at, outbox_id) WHERE published_at IS NOT NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON cutover.outbox TO cutover_worker, cutover_relay;
GRANT SELECT, INSERT ON cutover.outbox TO cutover_monolith;
GRANT SELECT, UPDATE (published_at, stream, sequence) ON cutover.outbox TO cutover_operator;  -- to have events published again

COMMIT;
