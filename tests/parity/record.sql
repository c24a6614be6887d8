-- Notes every change of the monolith's tables and every row of the outbox, in the order of their transactions.
CREATE SCHEMA record;
CREATE SEQUENCE record.serial;
CREATE TABLE record.changes (
  serial bigint PRIMARY KEY DEFAULT nextval('record.serial'),
  step   bigint NOT NULL DEFAULT txid_current(),  -- transaction
  tab    text NOT NULL,                           -- table of schema app, or outbox; pause: what came before is settled first
  op     text NOT NULL,                           -- I, U or D
  r      jsonb NOT NULL                           -- the row; of a deletion the old one
);

CREATE FUNCTION record.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO record.changes (tab, op, r)
  VALUES (TG_TABLE_NAME, left(TG_OP, 1), CASE TG_OP WHEN 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END);
  RETURN NULL;
END $$;
DO $$
DECLARE
  v_table record;
BEGIN
  FOR v_table IN SELECT tablename FROM pg_tables WHERE schemaname = 'app' LOOP
    EXECUTE format('CREATE TRIGGER record AFTER INSERT OR UPDATE OR DELETE ON app.%I FOR EACH ROW EXECUTE FUNCTION record.note()', v_table.tablename);
  END LOOP;
END $$;
CREATE TRIGGER record AFTER INSERT ON cutover.outbox FOR EACH ROW EXECUTE FUNCTION record.note();

-- An event as the monolith writes it, without chance: its id follows from what it is about.
CREATE FUNCTION record.tell(p_name text, p_type text, p_id bigint, p_payload jsonb) RETURNS void LANGUAGE sql AS $$
  INSERT INTO cutover.outbox (message_id, subject, key, event_id, payload)
  SELECT e.id, p_name, p_id::text, e.id, convert_to(jsonb_build_object(
    'event_id', e.id, 'event_name', p_name, 'event_version', 1, 'occurred_at', '2026-11-01T00:00:00Z', 'producer', 'monolith',
    'actor', jsonb_build_object('actor_id', 'system', 'actor_type', 'system'),
    'subject', jsonb_build_object('subject_type', p_type, 'subject_id', p_id::text, 'version', 1),
    'correlation_id', e.id, 'causation_id', e.id, 'idempotency_key', 'initial:' || p_name || ':' || p_id, 'tenant_scope', 'global',
    'payload', p_payload)::text, 'UTF8')
  FROM (SELECT md5(p_name || ':' || p_id)::uuid::text AS id) e
$$;

-- The world that was there first is told too, so that both sides start with nothing and make every document from an event.
CREATE PROCEDURE record.tell_initial_rows() LANGUAGE plpgsql AS $$
DECLARE
  v_row record;
BEGIN
  FOR v_row IN SELECT * FROM app.profiles ORDER BY profile_id LOOP
    PERFORM record.tell('profile.created', 'profile', v_row.profile_id, jsonb_build_object('profile_id', v_row.profile_id,
      'owner_principal_id', v_row.owner_principal_id, 'profile_class', v_row.profile_class));
    COMMIT;
  END LOOP;
  FOR v_row IN SELECT owner_id, count(*) AS edges FROM app.contacts GROUP BY owner_id ORDER BY owner_id LOOP
    PERFORM record.tell('contact.sync_completed', 'principal', v_row.owner_id, jsonb_build_object('sync_session_id', 'initial',
      'owner_id', v_row.owner_id, 'edges', v_row.edges));
    COMMIT;
  END LOOP;
END $$;

-- Numbers the transactions and moves a share of the events behind the five that follow theirs: later events overtake them.
CREATE PROCEDURE record.make_late(p_share double precision) LANGUAGE sql AS $$
  WITH steps AS (SELECT step, row_number() OVER (ORDER BY min(serial)) AS n, count(*) OVER () AS last FROM record.changes GROUP BY step)
  UPDATE record.changes c
  SET step = s.n + CASE WHEN c.tab = 'outbox' AND s.n + 5 <= s.last AND (hashtext(c.r ->> 'message_id') & 1023) < p_share * 1024
                        THEN 5 ELSE 0 END
  FROM steps s WHERE s.step = c.step
$$;

-- Evidence that asks for nothing is worked on when something else asks. Of a case in the future, which no timer reaches, that could
-- be something that comes sooner on one side than on the other: the last event of a case asks.
CREATE PROCEDURE record.drop_last_words() LANGUAGE plpgsql AS $$
BEGIN
  LOOP
    DELETE FROM record.changes c USING (
      SELECT DISTINCT ON (r ->> 'key') r ->> 'key' AS key, convert_from(decode(substr(r ->> 'payload', 3), 'hex'), 'UTF8')::jsonb AS event
      FROM record.changes WHERE tab = 'outbox' AND r ->> 'subject' LIKE 'security.case\_%'
      ORDER BY r ->> 'key', (convert_from(decode(substr(r ->> 'payload', 3), 'hex'), 'UTF8')::jsonb #>> '{subject,version}')::bigint DESC) l
    WHERE c.tab = 'outbox' AND c.r ->> 'key' = l.key AND l.event #>> '{payload,material}' = 'false'
      AND c.r ->> 'subject' LIKE 'security.case\_%'
      AND convert_from(decode(substr(c.r ->> 'payload', 3), 'hex'), 'UTF8')::jsonb #>> '{subject,version}' = l.event #>> '{subject,version}';
    EXIT WHEN NOT FOUND;
  END LOOP;
END $$;

-- A request for scores as of so much after now.
CREATE FUNCTION record.ask(p_key text, p_after interval, p_scope text, p_principals bigint[]) RETURNS void LANGUAGE sql AS $$
  INSERT INTO cutover.outbox (message_id, subject, key, event_id, payload)
  SELECT e.id, 'score.recompute_requested', p_key, e.id, convert_to(jsonb_build_object(
    'event_id', e.id, 'event_name', 'score.recompute_requested', 'event_version', 1,
    'occurred_at', to_char(now() AT TIME ZONE 'UTC' + p_after, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'producer', 'monolith',
    'actor', jsonb_build_object('actor_id', 'system', 'actor_type', 'system'),
    'subject', jsonb_build_object('subject_type', 'score_request', 'subject_id', p_key, 'version', 1),
    'correlation_id', e.id, 'causation_id', e.id, 'idempotency_key', 'requested:' || p_key, 'tenant_scope', 'global',
    'payload', jsonb_build_object('scope', p_scope, 'principal_ids', p_principals, 'reason', 'recorded'))::text, 'UTF8')
  FROM (SELECT gen_random_uuid()::text AS id) e
$$;

-- Scores are computed from the rows of their time, so they are asked for when nothing changes any more: everybody's, some again
-- later, and then what comes late: it is older than what is there.
CREATE PROCEDURE record.ask_for_scores() LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO record.changes (tab, op, r) VALUES ('pause', '', jsonb_build_object('at', now()));
  COMMIT;
  PERFORM record.ask('all', interval '10 s', 'all', '{}');
  COMMIT;
  PERFORM record.ask('some', interval '20 s', 'principals', ARRAY(SELECT principal_id FROM app.principals WHERE principal_id % 9 = 0 ORDER BY 1));
  PERFORM record.ask('two', interval '20 s', 'principals', '{4,5}');
  PERFORM record.ask('nobody', interval '20 s', 'principals', '{}');
  COMMIT;
  PERFORM record.ask('late', interval '6 s', 'principals', ARRAY(SELECT principal_id FROM app.principals WHERE principal_id % 7 = 0 ORDER BY 1));
  PERFORM record.ask('wrong', interval '20 s', 'everything', '{}');
  PERFORM record.ask('all', interval '30 s', 'all', '{}');  -- its key was used
  COMMIT;
  PERFORM record.ask('late all', interval '8 s', 'all', '{}');
END $$;

-- One line for each change: transaction, table, what, row.
CREATE VIEW record.corpus AS
SELECT jsonb_build_array(dense_rank() OVER (ORDER BY c.step), c.tab, c.op,
         CASE c.tab WHEN 'outbox' THEN jsonb_build_object('message_id', c.r -> 'message_id', 'subject', c.r -> 'subject', 'key', c.r -> 'key',
                                         'payload', c.r -> 'payload', 'headers', c.r -> 'headers', 'event_id', c.r -> 'event_id')
                    ELSE c.r END)::text AS line
FROM record.changes c ORDER BY c.step, c.serial;
