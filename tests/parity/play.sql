-- Plays a recorded corpus: each of its transactions is one of this database, rows and events together, at the times of now.
-- Load the lines into play.lines first, then CALL play.all() twice: it stops where what came before has to be settled first.
CREATE SCHEMA play;
CREATE TABLE play.lines (serial bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, line jsonb NOT NULL);
CREATE TABLE play.played (serial bigint NOT NULL);
INSERT INTO play.played VALUES (0);

-- The row with its times moved.
CREATE FUNCTION play.moved(p_row jsonb, p_by interval) RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_object_agg(key, CASE WHEN key LIKE '%\_at' AND jsonb_typeof(value) = 'string' THEN to_jsonb((value #>> '{}')::timestamptz + p_by)
                                    ELSE value END)
  FROM jsonb_each(p_row)
$$;

-- The event with its times moved.
CREATE FUNCTION play.moved(p_payload bytea, p_by interval) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
  v_text text := convert_from(p_payload, 'UTF8');
  v_time text;
BEGIN
  FOR v_time IN SELECT DISTINCT m[1] FROM regexp_matches(v_text, '"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*Z)"', 'g') m LOOP
    v_text := replace(v_text, v_time, to_char(v_time::timestamptz AT TIME ZONE 'UTC' + p_by, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'));
  END LOOP;
  RETURN convert_to(v_text, 'UTF8');
END $$;

CREATE PROCEDURE play.all() LANGUAGE plpgsql AS $$
DECLARE
  v_line record;
  v_step bigint := 0;
  v_keys text;
  v_sets text;
  v_table text;
  v_by interval;
BEGIN
  SELECT clock_timestamp() - (line #>> '{3,at}')::timestamptz INTO STRICT v_by FROM play.lines WHERE line ->> 1 = 'pause';
  FOR v_line IN SELECT serial, (line ->> 0)::bigint AS step, line ->> 1 AS tab, line ->> 2 AS op, line -> 3 AS r
                FROM play.lines WHERE serial > (SELECT serial FROM play.played) ORDER BY serial LOOP
    IF v_line.step <> v_step THEN
      COMMIT;
      v_step := v_line.step;
    END IF;
    IF v_line.tab = 'pause' THEN
      UPDATE play.played SET serial = v_line.serial;
      RETURN;
    END IF;
    IF v_line.tab = 'outbox' THEN
      INSERT INTO cutover.outbox (message_id, subject, key, payload, headers, event_id)
      SELECT message_id, subject, key,
             CASE WHEN subject LIKE 'security.case%' OR subject LIKE 'score.%' THEN play.moved(payload, v_by) ELSE payload END, headers, event_id
      FROM jsonb_populate_record(NULL::cutover.outbox, v_line.r);
      CONTINUE;
    END IF;
    v_table := format('app.%I', v_line.tab);
    SELECT string_agg(format('%I', a.attname), ', ') INTO v_keys
    FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) WHERE i.indrelid = v_table::regclass AND i.indisprimary;
    IF v_line.op = 'D' THEN
      EXECUTE format('DELETE FROM %1$s WHERE (%2$s) = (SELECT %2$s FROM jsonb_populate_record(NULL::%1$s, $1))', v_table, v_keys) USING v_line.r;
    ELSE
      SELECT string_agg(format('%1$I = excluded.%1$I', attname), ', ') INTO v_sets
      FROM pg_attribute WHERE attrelid = v_table::regclass AND attnum > 0 AND NOT attisdropped;
      EXECUTE format('INSERT INTO %1$s SELECT * FROM jsonb_populate_record(NULL::%1$s, $1) ON CONFLICT (%2$s) DO UPDATE SET %3$s', v_table, v_keys, v_sets)
        USING play.moved(v_line.r, v_by);
    END IF;
  END LOOP;
END $$;
