-- Verify cutover:search on pg
BEGIN;
SELECT 1 / (cutover.schema_version() >= 7)::int;
SELECT doc_id, kind, owner_id, visibility, display_name, phone, email, username, company_name, job_title, circle_names, tsv, updated_at,
  stream, seq FROM serving.search_documents WHERE false;
SELECT doc_id, kind, owner_id, visibility, display_name, phone, email, username, company_name, job_title, circle_names, tsv, updated_at,
  stream, seq FROM shadow.search_documents WHERE false;
SELECT source, source_id, doc_id, kind, owner_id, visibility, display_name, phone, email, username, company_name, job_title,
  circle_names, tsv FROM serving.search_document_source WHERE false;
SELECT job_id, owner_id, position, contact_ids, profile_ids FROM serving.search_jobs WHERE false;
SELECT run_id, state, phase, cursor_id, cursor_doc_id FROM serving.search_reindex_runs WHERE false;
SELECT 1 / (count(*) = 1)::int FROM serving.search_watermark;
SELECT 1 / (count(*) = 2)::int FROM pg_indexes WHERE tablename = 'search_documents' AND schemaname = 'serving' AND indexdef LIKE '% USING gin %gin_trgm_ops%';
SELECT doc_id, rank, stale_seconds FROM serving.search(1, 'anna', 5);
SELECT has_table_privilege('cutover_search_projector', 'serving.search_documents', 'insert, update, delete')
  AND has_table_privilege('cutover_worker', 'app.contacts', 'select');
ROLLBACK;
