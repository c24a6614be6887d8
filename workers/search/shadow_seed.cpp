#include "workers/search/shadow_seed.h"

namespace cutover::search {
namespace {

constexpr const char* kClear = R"sql(
WITH documents AS (DELETE FROM shadow.search_documents), runs AS (DELETE FROM shadow.search_reindex_runs),
  drift AS (DELETE FROM shadow.search_drift)
DELETE FROM shadow.search_jobs)sql";

constexpr const char* kCopy = R"sql(
WITH chunk AS (
  SELECT * FROM serving.search_documents WHERE doc_id > $1::text ORDER BY doc_id LIMIT $2::bigint),
copied AS (
  INSERT INTO shadow.search_documents (doc_id, kind, owner_id, visibility, display_name, phone, email, username, company_name,
    job_title, circle_names, tsv, updated_at)
  SELECT doc_id, kind, owner_id, visibility, display_name, phone, email, username, company_name, job_title, circle_names, tsv,
    updated_at
  FROM chunk ORDER BY doc_id
  ON CONFLICT (doc_id) DO NOTHING RETURNING 1)
SELECT (SELECT count(*) FROM copied), count(*), max(doc_id) FROM chunk)sql";

// What the worker wrote since names its event.
constexpr const char* kSweep = R"sql(
WITH chunk AS (
  SELECT doc_id FROM shadow.search_documents WHERE doc_id > $1::text ORDER BY doc_id LIMIT $2::bigint),
gone AS (
  DELETE FROM shadow.search_documents d USING chunk c
  WHERE d.doc_id = c.doc_id AND d.stream IS NULL
    AND NOT EXISTS (SELECT FROM serving.search_documents s WHERE s.doc_id = d.doc_id)
  RETURNING 1)
SELECT (SELECT count(*) FROM gone), count(*), max(doc_id) FROM chunk)sql";

SeedChunk run(Transaction& tx, const char* sql, const std::string& after, std::uint64_t limit) {
  const auto rows = tx.query(sql, {std::string_view(after), static_cast<std::int64_t>(limit)});
  SeedChunk chunk;
  chunk.rows = rows->integer(0, 0);
  if (static_cast<std::uint64_t>(rows->integer(0, 1)) == limit) chunk.next = std::string(rows->text(0, 2));
  return chunk;
}

}  // namespace

void clear_shadow(Transaction& tx) {
  tx.query(kClear);
}

SeedChunk copy_to_shadow(Transaction& tx, const std::string& after, std::uint64_t limit) {
  return run(tx, kCopy, after, limit);
}

SeedChunk sweep_shadow(Transaction& tx, const std::string& after, std::uint64_t limit) {
  return run(tx, kSweep, after, limit);
}

}  // namespace cutover::search
