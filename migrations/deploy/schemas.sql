-- Deploy cutover:schemas to pg
-- Schemas, extensions and the roles of the deployments. Roles are NOLOGIN groups: grant one to the login of a deployment.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE SCHEMA cutover;
CREATE SCHEMA serving;
CREATE SCHEMA shadow;

-- Both are trusted extensions of PostgreSQL's own contrib package.
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS btree_gist WITH SCHEMA public;

-- Roles belong to the whole server, and another database of it may have made them, perhaps at this moment.
DO $$
DECLARE
  v_role text;
BEGIN
  FOREACH v_role IN ARRAY ARRAY['cutover_worker', 'cutover_search_projector', 'cutover_score_orchestrator',
                                'cutover_dispute_processor', 'cutover_relay', 'cutover_monolith', 'cutover_operator']
  LOOP
    BEGIN
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = v_role) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN', v_role);
      END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL;
    END;
  END LOOP;
  -- What every worker may do is granted once, to cutover_worker.
  FOREACH v_role IN ARRAY ARRAY['cutover_search_projector', 'cutover_score_orchestrator', 'cutover_dispute_processor']
  LOOP
    IF NOT pg_has_role(v_role, 'cutover_worker', 'MEMBER') THEN
      EXECUTE format('GRANT cutover_worker TO %I', v_role);
    END IF;
  END LOOP;
END $$;

GRANT USAGE ON SCHEMA cutover TO cutover_worker, cutover_relay, cutover_monolith, cutover_operator;
GRANT USAGE ON SCHEMA serving TO cutover_worker, cutover_monolith, cutover_operator;
GRANT USAGE ON SCHEMA shadow TO cutover_worker, cutover_operator;

COMMIT;
