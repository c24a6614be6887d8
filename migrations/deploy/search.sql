-- Deploy cutover:search to pg
-- requires: claim
-- The search projection: its tables in `serving` and `shadow`, the view that defines a document, and the search function.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION cutover.schema_version() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 7';

-- The view reads the monolith's tables, which no migration makes.
DO $$
DECLARE
  v_missing text;
BEGIN
  SELECT string_agg('app.' || t, ', ' ORDER BY t) INTO v_missing
  FROM unnest(ARRAY['principals', 'profiles', 'channels', 'contacts', 'circles', 'circle_members']) t
  WHERE to_regclass('app.' || t) IS NULL;
  IF v_missing IS NOT NULL THEN
    RAISE EXCEPTION 'the monolith''s tables are missing in this database: %', v_missing
      USING HINT = 'Deploy into the database of the monolith. For a stand-in, apply tests/monolith/schema/app.sql first.';
  END IF;
  BEGIN
    IF NOT has_schema_privilege('cutover_worker', 'app', 'USAGE') THEN
      GRANT USAGE ON SCHEMA app TO cutover_worker;
    END IF;
    GRANT SELECT ON app.principals, app.profiles, app.channels, app.contacts, app.circles, app.circle_members TO cutover_worker;
  EXCEPTION WHEN insufficient_privilege THEN
    RAISE EXCEPTION '% may not grant SELECT on schema app to cutover_worker', current_user
      USING HINT = 'Let the owner of schema app run: GRANT USAGE ON SCHEMA app TO cutover_worker; GRANT SELECT ON ALL TABLES IN SCHEMA app TO cutover_worker; and give this user SELECT WITH GRANT OPTION.';
  END;
END $$;

CREATE EXTENSION IF NOT EXISTS btree_gin WITH SCHEMA public;  -- trusted, from PostgreSQL's own contrib package

-- ---- the documents

CREATE TABLE serving.search_documents (
  doc_id       text COLLATE "C" PRIMARY KEY,  -- contact:<contact_id>, profile:<profile_id>
  kind         text NOT NULL CHECK (kind IN ('contact', 'profile', 'business')),
  owner_id     bigint,                        -- null: nothing may lead to the owner
  visibility   text NOT NULL CHECK (visibility IN ('owner', 'public')),
  display_name text,
  phone        text,
  email        text,
  username     text,
  company_name text,
  job_title    text,
  circle_names text[] NOT NULL DEFAULT '{}',
  tsv          tsvector NOT NULL,
  updated_at   timestamptz NOT NULL DEFAULT now(),  -- when the row last changed; not part of the document
  stream       text,                                -- the event that last changed it; null: a reindex
  seq          bigint
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

-- A reader sees either all of one owner's rows or all public ones: two indexes, so that the other owners' names cost nothing.
-- Of an address only the part before the @ is compared: behind it all addresses of a provider are alike.
-- New entries wait in a pending list, which every search reads from end to end: the projector merges it about every second
-- (merge_search_entries), so that neither searches nor the lanes pay for it. Entry by entry costs four times as much.
CREATE INDEX search_documents_own ON serving.search_documents USING gin
  (owner_id, tsv, display_name gin_trgm_ops, split_part(email, '@', 1) gin_trgm_ops, phone gin_trgm_ops)
  WITH (gin_pending_list_limit = 4096) WHERE visibility = 'owner';
CREATE INDEX search_documents_public ON serving.search_documents USING gin
  (tsv, display_name gin_trgm_ops, username gin_trgm_ops, split_part(email, '@', 1) gin_trgm_ops, phone gin_trgm_ops)
  WITH (gin_pending_list_limit = 4096) WHERE visibility = 'public';
CREATE INDEX search_documents_own_phone ON serving.search_documents
  (owner_id, (left(regexp_replace(phone, '[^0-9]', '', 'g'), 32)) text_pattern_ops) WHERE visibility = 'owner';
CREATE INDEX search_documents_public_phone ON serving.search_documents
  ((left(regexp_replace(phone, '[^0-9]', '', 'g'), 32)) text_pattern_ops) WHERE visibility = 'public' AND phone IS NOT NULL;
-- Only public documents have a username. Saying so here would make the planner believe that there are hardly any.
CREATE INDEX search_documents_username ON serving.search_documents
  ((lower(left(username, 64))) text_pattern_ops) WHERE username IS NOT NULL;
CREATE INDEX search_documents_owner ON serving.search_documents (owner_id) WHERE visibility = 'public' AND owner_id IS NOT NULL;

-- ---- work that is too big for a batch

-- Documents that wait to be projected, a chunk a row. `position` makes it fair: an owner's next chunk queues behind the
-- chunks that the other owners already have in the queue, however many its import left there.
CREATE TABLE serving.search_jobs (
  job_id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  owner_id        bigint NOT NULL,
  position        bigint NOT NULL,
  contact_ids     bigint[] NOT NULL,
  profile_ids     bigint[] NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT now(),
  -- the event that it follows from
  event_id        text NOT NULL,
  event_name      text NOT NULL,
  tenant_scope    text NOT NULL,
  correlation_id  text NOT NULL,
  actor_id        text NOT NULL,
  actor_type      text NOT NULL,
  traceparent     text NOT NULL,
  tracestate      text NOT NULL,
  stream          text NOT NULL,
  incarnation     integer NOT NULL,
  seq             bigint NOT NULL
);
CREATE INDEX search_jobs_position ON serving.search_jobs (position, job_id);
CREATE INDEX search_jobs_owner ON serving.search_jobs (owner_id, position);

-- ---- rebuild and comparison

CREATE TABLE serving.search_reindex_runs (
  run_id        uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  owner_id      bigint,                     -- null: everything
  state         text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'completed', 'failed', 'abandoned')),
  phase         text NOT NULL DEFAULT 'contacts' CHECK (phase IN ('contacts', 'profiles', 'leftovers', 'done')),
  cursor_id     bigint NOT NULL DEFAULT 0,  -- of the last contact or profile that is done
  cursor_doc_id text NOT NULL DEFAULT '',   -- the same, of the leftovers
  seen          bigint NOT NULL DEFAULT 0,  -- contacts, profiles and left over documents looked at
  upserted      bigint NOT NULL DEFAULT 0,
  deleted       bigint NOT NULL DEFAULT 0,
  expected      bigint NOT NULL DEFAULT 0,  -- estimate of `seen` at the end
  started_at    timestamptz NOT NULL DEFAULT now(),
  progressed_at timestamptz NOT NULL DEFAULT now(),
  finished_at   timestamptz,                -- null: it runs, or may be resumed
  error         text
);
CREATE UNIQUE INDEX search_reindex_runs_open ON serving.search_reindex_runs (coalesce(owner_id, 0)) WHERE finished_at IS NULL;

CREATE TABLE serving.search_drift (
  drift_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  owner_id  bigint,             -- null: everything
  mode      text NOT NULL CHECK (mode IN ('sample', 'full')),
  checked   bigint NOT NULL,
  missing   bigint NOT NULL,
  extra     bigint NOT NULL,
  different bigint NOT NULL,
  in_flight bigint NOT NULL,    -- differed at first, and no longer after the settle interval
  percent   double precision NOT NULL,
  verdict   text NOT NULL CHECK (verdict IN ('ok', 'different', 'inconclusive')),
  examples  text[] NOT NULL,    -- missing contact:12
  at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX search_drift_at ON serving.search_drift (at);

CREATE TABLE shadow.search_documents (LIKE serving.search_documents INCLUDING ALL);
CREATE TABLE shadow.search_jobs (LIKE serving.search_jobs INCLUDING ALL);
CREATE TABLE shadow.search_reindex_runs (LIKE serving.search_reindex_runs INCLUDING ALL);
CREATE TABLE shadow.search_drift (LIKE serving.search_drift INCLUDING ALL);

-- How far the projection is: every event published before `applied_through` is in the documents. The first full reindex
-- starts it, then the projector moves it.
CREATE TABLE serving.search_watermark (
  applied_through timestamptz NOT NULL DEFAULT 'epoch',          -- the epoch: never built
  stale_after     interval NOT NULL DEFAULT '60 seconds',  -- beyond it serving.search answers from the source
  at              timestamptz NOT NULL DEFAULT now(),
  singleton       boolean PRIMARY KEY DEFAULT true CHECK (singleton)
);
INSERT INTO serving.search_watermark DEFAULT VALUES;

-- ---- the one definition of a document

-- (source, source_id) is the key to look rows up by: the planner takes it to the index of the one table. Long fields count
-- with their beginning only: a tsvector has a size limit, and no row of the monolith may stop the projection.
CREATE VIEW serving.search_document_source AS
SELECT s.source, s.source_id, (s.source || ':' || s.source_id) COLLATE "C" AS doc_id, s.kind, s.owner_id, s.visibility,
       s.display_name, s.phone, s.email, s.username, s.company_name, s.job_title, s.circle_names,
       setweight(to_tsvector('simple', left(coalesce(s.display_name, ''), 10000)), 'A')
       || setweight(to_tsvector('simple', concat_ws(' ', left(s.phone, 1000), left(s.email, 1000), left(s.username, 1000))), 'B')
       || setweight(to_tsvector('simple', concat_ws(' ', left(s.company_name, 10000), left(s.job_title, 10000))), 'C')
       || setweight(to_tsvector('simple', left(array_to_string(s.circle_names, ' '), 10000)), 'D') AS tsv
FROM (
  SELECT 'contact'::text AS source, c.contact_id AS source_id, 'contact'::text AS kind, c.owner_id, 'owner'::text AS visibility,
         c.display_name, c.phone, c.email, NULL::text AS username, c.company_name, c.job_title, g.names AS circle_names
  FROM app.contacts c
  CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(DISTINCT k.name COLLATE "C"), '{}') AS names
    FROM app.circle_members m JOIN app.circles k USING (circle_id) WHERE m.contact_id = c.contact_id) g
  WHERE c.state NOT IN ('tombstoned', 'archived') AND c.contested IS NOT TRUE
  UNION ALL
  -- A shadow profile shows nothing that leads to its owner.
  SELECT 'profile', p.profile_id, CASE p.profile_class WHEN 'business' THEN 'business' ELSE 'profile' END,
         CASE WHEN p.profile_class <> 'shadow' THEN o.principal_id END, 'public',
         p.display_name, phone.value, email.value, CASE WHEN p.profile_class <> 'shadow' THEN o.username END,
         p.company_name, p.job_title, '{}'::text[]
  FROM app.profiles p
  JOIN app.principals o ON o.principal_id = p.owner_principal_id
  LEFT JOIN LATERAL (
    SELECT h.value FROM app.channels h
    WHERE h.principal_id = o.principal_id AND h.kind = 'phone' AND h.state IN ('verified_active', 'recovered')
      AND h.verified_at IS NOT NULL
    ORDER BY h.verified_at, h.channel_id LIMIT 1) phone ON p.profile_class <> 'shadow'
  LEFT JOIN LATERAL (
    SELECT h.value FROM app.channels h
    WHERE h.principal_id = o.principal_id AND h.kind = 'email' AND h.state IN ('verified_active', 'recovered')
      AND h.verified_at IS NOT NULL
    ORDER BY h.verified_at, h.channel_id LIMIT 1) email ON p.profile_class <> 'shadow'
  WHERE o.status = 'active'
    AND CASE p.profile_class WHEN 'business' THEN p.discoverable IS NOT FALSE
                             WHEN 'single' THEN p.discoverable IS TRUE
                             WHEN 'employee' THEN p.discoverable IS TRUE
                             WHEN 'shadow' THEN p.discoverable IS TRUE
                             ELSE false END) s;

-- Keeps everybody else who writes these documents out, to the end of the transaction; worker and monolith both call it. Read
-- the source in a statement after this one: then of two at once the later one sees the newer rows.
CREATE FUNCTION serving.lock_search_documents(p_table regclass, p_doc_ids text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(p_table::oid::integer, s.stripe)
  FROM (SELECT DISTINCT hashtext(d) & 1023 AS stripe FROM unnest(p_doc_ids) d ORDER BY stripe) s;
END $$;

-- Merges what waits in the pending lists of the search indexes. Only the owner of an index may; hence the definer.
CREATE FUNCTION serving.merge_search_entries() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT gin_clean_pending_list('serving.search_documents_own'), gin_clean_pending_list('serving.search_documents_public')
$$;

-- ---- the search function

-- How alike a document and a query are, 0..1. p_handle, p_address, p_digits: the query as a username, as the part of an
-- address before the @, as a number; null where it cannot be one.
CREATE FUNCTION serving.search_similarity(
  p_display_name text, p_username text, p_email text, p_phone text, p_text text, p_handle text, p_address text, p_digits text)
RETURNS real
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT coalesce(greatest(
    public.similarity(p_display_name, p_text),
    CASE WHEN p_handle IS NOT NULL THEN public.similarity(p_username, p_handle) END,
    CASE WHEN p_address IS NOT NULL THEN public.similarity(split_part(p_email, '@', 1), p_address) END,
    CASE WHEN p_digits IS NOT NULL THEN public.similarity(left(regexp_replace(p_phone, '[^0-9]', '', 'g'), 32), p_digits) END), 0)
$$;

-- Finds what an owner may see: the owner's contacts and everything public.
--   p_owner        null: public documents only
--   p_query        all of its words, the last one from three letters as a beginning; or alike by trigrams (0.3) in display
--                  name. One word also as a username or its beginning, and with a digit, dot, dash, @ or _ in it alike in
--                  username and email. Digits as words and as the beginning of a phone number, from nine digits also
--                  alike in it (0.6: at 0.3 all numbers of a country are)
--   p_limit        at most 20
--   rank           2 * ts_rank + similarity
--   stale_seconds  0: from the documents. Otherwise they are behind by so many seconds, more than their limit, and the
--                  answer was computed from the source, which takes as long as reading it takes
-- What more than 1,000 documents match, own or public, is ranked in part: of the first 3,000 with these words the 1,000 of
-- the highest ts_rank and the shortest names; the first 1,000 of those alike; the first 1,000 numbers and usernames.
CREATE FUNCTION serving.search(p_owner bigint, p_query text, p_limit integer DEFAULT 20)
RETURNS TABLE (doc_id text, kind text, owner_id bigint, visibility text, display_name text, phone text, email text, username text,
  company_name text, job_title text, circle_names text[], rank double precision, stale_seconds double precision)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, public, pg_temp SET client_min_messages = warning
SET pg_trgm.similarity_threshold = 0.3 SET plan_cache_mode = force_custom_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_limit integer := least(greatest(coalesce(p_limit, 20), 0), 20);
  v_text text := btrim(regexp_replace(left(p_query, 200), '\s+', ' ', 'g'));
  v_words tsquery := plainto_tsquery('simple', coalesce(v_text, ''));
  v_digits text := CASE WHEN v_text ~ '^[+(]*[0-9][0-9 ()./-]*$' THEN left(regexp_replace(v_text, '[^0-9]', '', 'g'), 32) END;
  v_handle text := CASE WHEN v_text !~ ' ' AND v_digits IS NULL THEN nullif(lower(ltrim(v_text, '@')), '') END;
  v_address text := CASE WHEN v_handle ~ '[0-9._@-]' THEN nullif(split_part(v_handle, '@', 1), '') END;
  v_handle_like text := regexp_replace(left(v_handle, 64), '([\\%_])', '\\\1', 'g') || '%';
  v_floor double precision := CASE WHEN v_digits IS NULL THEN 0.3 WHEN length(v_digits) >= 9 THEN 0.6 ELSE 2 END;
  v_some boolean := numnode(v_words) >= 5;  -- three words: a document with some of them can have a ts_rank, too
  v_behind double precision;
  v_behind_limit double precision;
  v_few boolean;
  v_step double precision;
  v_threshold double precision := CASE WHEN v_some THEN 3 ELSE 1 END;  -- nothing that is not found yet ranks above it
  v_ids text[];
  v_ranks double precision[];
BEGIN
  IF v_text IS NULL OR v_text = '' OR v_limit = 0 THEN
    RETURN;
  END IF;
  IF numnode(v_words) > 0 AND v_text ~ '[^ ]{3}$' THEN
    v_words := (v_words::text || ':*')::tsquery;
  END IF;

  SELECT extract(epoch FROM statement_timestamp() - w.applied_through), extract(epoch FROM w.stale_after)
  INTO v_behind, v_behind_limit FROM serving.search_watermark w;
  SELECT greatest(v_behind, extract(epoch FROM statement_timestamp() - min(j.created_at)))
  INTO v_behind FROM serving.search_jobs j WHERE j.owner_id = p_owner;
  IF v_behind > v_behind_limit THEN
    RETURN QUERY
      SELECT s.doc_id, s.kind, s.owner_id, s.visibility, s.display_name, s.phone, s.email, s.username, s.company_name, s.job_title,
             s.circle_names, 2 * ts_rank(s.tsv, v_words) + s.alike AS rank, v_behind
      FROM (SELECT d.*, serving.search_similarity(d.display_name, d.username, d.email, d.phone, v_text, v_handle, v_address, v_digits) AS alike
            FROM serving.search_document_source d WHERE d.visibility = 'public' OR d.owner_id = p_owner) s
      WHERE s.tsv @@ v_words OR s.alike >= v_floor
         OR left(regexp_replace(s.phone, '[^0-9]', '', 'g'), 32) LIKE v_digits || '%' OR lower(left(s.username, 64)) LIKE v_handle_like
      ORDER BY rank DESC, s.doc_id LIMIT v_limit;
    RETURN;
  END IF;

  -- Words, numbers and usernames. A few contacts are quicker to look at than any index: those are compared in full.
  SELECT count(*) <= 1000 INTO v_few
  FROM (SELECT FROM serving.search_documents d WHERE d.visibility = 'owner' AND d.owner_id = p_owner LIMIT 1001) own;
  SELECT array_agg(r.doc_id), array_agg(r.rank) INTO v_ids, v_ranks
  FROM (
    SELECT DISTINCT a.doc_id, 2 * ts_rank(a.tsv, v_words) + a.alike AS rank
    FROM (
      SELECT c.doc_id, c.tsv, c.matches,
             serving.search_similarity(c.display_name, c.username, c.email, c.phone, v_text, v_handle, v_address, v_digits) AS alike
      FROM (
        (SELECT d.doc_id, d.tsv, d.display_name, d.username, d.email, d.phone,
                d.tsv @@ v_words OR coalesce(left(regexp_replace(d.phone, '[^0-9]', '', 'g'), 32) LIKE v_digits || '%', false) AS matches
         FROM serving.search_documents d WHERE v_few AND d.visibility = 'owner' AND d.owner_id = p_owner)
        UNION ALL
        (SELECT w.doc_id, w.tsv, w.display_name, w.username, w.email, w.phone, true
         FROM (SELECT d.* FROM serving.search_documents d
               WHERE NOT v_few AND d.visibility = 'owner' AND d.owner_id = p_owner AND d.tsv @@ v_words LIMIT 3000) w
         ORDER BY ts_rank(w.tsv, v_words) DESC, length(w.display_name), w.doc_id LIMIT 1000)
        UNION ALL
        (SELECT w.doc_id, w.tsv, w.display_name, w.username, w.email, w.phone, true
         FROM (SELECT d.* FROM serving.search_documents d WHERE d.visibility = 'public' AND d.tsv @@ v_words LIMIT 3000) w
         ORDER BY ts_rank(w.tsv, v_words) DESC, length(w.display_name), w.doc_id LIMIT 1000)
        UNION ALL
        (SELECT d.doc_id, d.tsv, d.display_name, d.username, d.email, d.phone, true FROM serving.search_documents d
         WHERE NOT v_few AND d.visibility = 'owner' AND d.owner_id = p_owner
           AND left(regexp_replace(d.phone, '[^0-9]', '', 'g'), 32) LIKE v_digits || '%' LIMIT 1000)
        UNION ALL
        (SELECT d.doc_id, d.tsv, d.display_name, d.username, d.email, d.phone, true FROM serving.search_documents d
         WHERE d.visibility = 'public' AND d.phone IS NOT NULL
           AND left(regexp_replace(d.phone, '[^0-9]', '', 'g'), 32) LIKE v_digits || '%' LIMIT 1000)
        UNION ALL
        (SELECT d.doc_id, d.tsv, d.display_name, d.username, d.email, d.phone, true FROM serving.search_documents d
         WHERE d.visibility = 'public' AND d.username IS NOT NULL AND lower(left(d.username, 64)) = left(v_handle, 64) LIMIT 1000)
        UNION ALL
        (SELECT d.doc_id, d.tsv, d.display_name, d.username, d.email, d.phone, true FROM serving.search_documents d
         WHERE d.visibility = 'public' AND d.username IS NOT NULL AND lower(left(d.username, 64)) LIKE v_handle_like LIMIT 1000)) c) a
    WHERE a.matches OR a.alike >= v_floor
    ORDER BY rank DESC, a.doc_id LIMIT v_limit) r;

  -- What only trigrams find has no ts_rank and ranks by its similarity: below the threshold there is nothing to gain once
  -- as many as are wanted rank above it. So the threshold falls in steps, each of which looks at many more documents.
  FOREACH v_step IN ARRAY ARRAY[0.6, 0.45, 0.3] LOOP
    EXIT WHEN v_ranks[v_limit] >= v_threshold OR v_step < v_floor;
    CONTINUE WHEN v_some AND v_step > v_floor;
    v_threshold := CASE WHEN v_some THEN v_step ELSE greatest(v_step, v_ranks[v_limit]) END;
    PERFORM set_config('pg_trgm.similarity_threshold', v_threshold::text, true);
    SELECT array_agg(r.doc_id), array_agg(r.rank) INTO v_ids, v_ranks
    FROM (
      SELECT u.doc_id, u.rank FROM unnest(v_ids, v_ranks) u (doc_id, rank)
      UNION
      SELECT c.doc_id, 2 * ts_rank(c.tsv, v_words)
             + serving.search_similarity(c.display_name, c.username, c.email, c.phone, v_text, v_handle, v_address, v_digits)
      FROM (
        (SELECT d.doc_id, d.tsv, d.display_name, d.username, d.email, d.phone FROM serving.search_documents d
         WHERE NOT v_few AND d.visibility = 'owner' AND d.owner_id = p_owner AND d.display_name % v_text LIMIT 1000)
        UNION ALL
        (SELECT d.doc_id, d.tsv, d.display_name, d.username, d.email, d.phone FROM serving.search_documents d
         WHERE NOT v_few AND d.visibility = 'owner' AND d.owner_id = p_owner AND split_part(d.email, '@', 1) % v_address LIMIT 1000)
        UNION ALL
        (SELECT d.doc_id, d.tsv, d.display_name, d.username, d.email, d.phone FROM serving.search_documents d
         WHERE NOT v_few AND d.visibility = 'owner' AND d.owner_id = p_owner AND d.phone % v_digits LIMIT 1000)
        UNION ALL
        (SELECT d.doc_id, d.tsv, d.display_name, d.username, d.email, d.phone FROM serving.search_documents d
         WHERE d.visibility = 'public' AND d.display_name % v_text LIMIT 1000)
        UNION ALL
        (SELECT d.doc_id, d.tsv, d.display_name, d.username, d.email, d.phone FROM serving.search_documents d
         WHERE d.visibility = 'public' AND v_address IS NOT NULL AND d.username % v_handle LIMIT 1000)
        UNION ALL
        (SELECT d.doc_id, d.tsv, d.display_name, d.username, d.email, d.phone FROM serving.search_documents d
         WHERE d.visibility = 'public' AND split_part(d.email, '@', 1) % v_address LIMIT 1000)
        UNION ALL
        (SELECT d.doc_id, d.tsv, d.display_name, d.username, d.email, d.phone FROM serving.search_documents d
         WHERE d.visibility = 'public' AND d.phone % v_digits LIMIT 1000)) c
      ORDER BY rank DESC, doc_id LIMIT v_limit) r;
  END LOOP;

  RETURN QUERY
    SELECT d.doc_id, d.kind, d.owner_id, d.visibility, d.display_name, d.phone, d.email, d.username, d.company_name, d.job_title,
           d.circle_names, u.rank, 0::double precision
    FROM unnest(v_ids, v_ranks) u (doc_id, rank) JOIN serving.search_documents d ON d.doc_id = u.doc_id
    ORDER BY u.rank DESC, d.doc_id;
END $$;

GRANT USAGE ON SCHEMA shadow TO cutover_search_projector;
GRANT SELECT, INSERT, UPDATE, DELETE ON serving.search_documents, serving.search_jobs, serving.search_reindex_runs, serving.search_drift,
  shadow.search_documents, shadow.search_jobs, shadow.search_reindex_runs, shadow.search_drift TO cutover_search_projector;
GRANT SELECT, UPDATE ON serving.search_watermark TO cutover_search_projector;
GRANT SELECT, INSERT, UPDATE, DELETE ON serving.search_documents TO cutover_monolith;
GRANT SELECT ON serving.search_jobs, serving.search_watermark TO cutover_monolith;
GRANT SELECT ON serving.search_document_source TO cutover_search_projector, cutover_monolith, cutover_operator;
GRANT SELECT ON serving.search_documents, serving.search_jobs, serving.search_reindex_runs, serving.search_drift, serving.search_watermark,
  shadow.search_documents, shadow.search_jobs, shadow.search_reindex_runs, shadow.search_drift TO cutover_operator;
REVOKE EXECUTE ON FUNCTION serving.search(bigint, text, integer), serving.lock_search_documents(regclass, text[]), serving.merge_search_entries(),
  serving.search_similarity(text, text, text, text, text, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION serving.merge_search_entries() TO cutover_search_projector;
GRANT EXECUTE ON FUNCTION serving.lock_search_documents(regclass, text[]) TO cutover_search_projector, cutover_monolith;
GRANT EXECUTE ON FUNCTION serving.search(bigint, text, integer),
  serving.search_similarity(text, text, text, text, text, text, text, text) TO cutover_search_projector, cutover_monolith, cutover_operator;

COMMIT;
