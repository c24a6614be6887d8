-- Revert cutover:search from pg
-- The SELECT on schema app stays granted: other migrations and the monolith grant it too.
BEGIN;
DROP FUNCTION serving.search(bigint, text, integer), serving.lock_search_documents(regclass, text[]), serving.merge_search_entries(),
  serving.search_similarity(text, text, text, text, text, text, text, text);
DROP VIEW serving.search_document_source;
DROP TABLE serving.search_documents, serving.search_jobs, serving.search_reindex_runs, serving.search_drift, serving.search_watermark,
  shadow.search_documents, shadow.search_jobs, shadow.search_reindex_runs, shadow.search_drift;
CREATE OR REPLACE FUNCTION cutover.schema_version() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 6';
COMMIT;
