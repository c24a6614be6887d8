#include "workers/search/documents.h"

#include <charconv>

namespace cutover::search {
namespace {

constexpr std::string_view kLock = R"sql(
SELECT serving.lock_search_documents('search_documents', ARRAY(
  SELECT 'contact:' || c FROM unnest($1::bigint[]) c UNION ALL SELECT 'profile:' || p FROM unnest($2::bigint[]) p)))sql";

// One read of the view; rows that are right already are not touched, not even locked. The stream and sequence of a row
// never go back within a stream.
constexpr std::string_view kWrite = R"sql(
WITH target AS MATERIALIZED (
  SELECT u.id, $1::text || ':' || u.id AS doc_id, nullif(u.stream, '') AS stream, u.seq
  FROM unnest($2::bigint[], $3::text[], $4::bigint[]) u (id, stream, seq)),
source AS MATERIALIZED (
  SELECT v.* FROM serving.search_document_source v WHERE v.source = $1::text AND v.source_id = ANY ($2::bigint[])),
upserted AS (
  INSERT INTO search_documents AS d (doc_id, kind, owner_id, visibility, display_name, phone, email, username,
    company_name, job_title, circle_names, tsv, updated_at, stream, seq)
  SELECT s.doc_id, s.kind, s.owner_id, s.visibility, s.display_name, s.phone, s.email, s.username,
    s.company_name, s.job_title, s.circle_names, s.tsv, clock_timestamp(), t.stream, CASE WHEN t.stream IS NOT NULL THEN t.seq END
  FROM source s JOIN target t ON t.id = s.source_id
  WHERE NOT EXISTS (
    SELECT FROM search_documents e WHERE e.doc_id = s.doc_id
    AND (e.kind, e.owner_id, e.visibility, e.display_name, e.phone, e.email, e.username, e.company_name, e.job_title,
         e.circle_names, e.tsv)
      IS NOT DISTINCT FROM
        (s.kind, s.owner_id, s.visibility, s.display_name, s.phone, s.email, s.username, s.company_name, s.job_title,
         s.circle_names, s.tsv))
  ORDER BY s.doc_id
  ON CONFLICT (doc_id) DO UPDATE SET
    kind = excluded.kind, owner_id = excluded.owner_id, visibility = excluded.visibility,
    display_name = excluded.display_name, phone = excluded.phone, email = excluded.email, username = excluded.username,
    company_name = excluded.company_name, job_title = excluded.job_title, circle_names = excluded.circle_names,
    tsv = excluded.tsv, updated_at = excluded.updated_at, stream = coalesce(excluded.stream, d.stream),
    seq = CASE WHEN excluded.stream IS NULL THEN d.seq WHEN excluded.stream = d.stream THEN greatest(excluded.seq, d.seq)
               ELSE excluded.seq END
  RETURNING d.doc_id, d.kind, d.owner_id, d.updated_at),
deleted AS (
  DELETE FROM search_documents d USING target t
  WHERE d.doc_id = t.doc_id AND NOT EXISTS (SELECT FROM source s WHERE s.source_id = t.id)
  RETURNING d.doc_id, d.kind, d.owner_id, clock_timestamp() AS updated_at)
SELECT t.id, c.deleted, c.kind, c.owner_id, (extract(epoch FROM c.updated_at) * 1000000)::bigint
FROM (SELECT u.*, false AS deleted FROM upserted u UNION ALL SELECT x.*, true FROM deleted x) c
JOIN target t ON t.doc_id = c.doc_id
ORDER BY t.id)sql";

constexpr std::string_view kLockNameless = "SELECT serving.lock_search_documents('search_documents', $1::text[])";

constexpr std::string_view kDeleteNameless = R"sql(
DELETE FROM search_documents WHERE doc_id = ANY ($1::text[]) AND doc_id !~ '^(contact|profile):[1-9][0-9]{0,17}$')sql";

void write(Transaction& tx, Source source, const Targets& targets, std::vector<Changed>& changed) {
  if (targets.ids.empty()) return;
  auto rows = tx.query(kWrite, {std::string_view(source == Source::contact ? "contact" : "profile"),
                                std::span<const std::int64_t>(targets.ids), std::span<const std::string_view>(targets.streams),
                                std::span<const std::int64_t>(targets.sequences)});
  for (std::size_t i = 0; i < rows->size(); ++i) {
    Changed& one = changed.emplace_back();
    one.source = source;
    one.id = rows->integer(i, 0);
    one.deleted = rows->boolean(i, 1);
    one.kind = rows->text(i, 2);
    if (!rows->is_null(i, 3)) one.owner_id = rows->integer(i, 3);
    one.version = rows->integer(i, 4);
  }
}

}  // namespace

std::string document_id(Source source, std::int64_t id) {
  return (source == Source::contact ? "contact:" : "profile:") + std::to_string(id);
}

std::optional<DocumentKey> parse_document_id(std::string_view doc_id) {
  DocumentKey key;
  if (doc_id.starts_with("contact:"))
    key.source = Source::contact;
  else if (doc_id.starts_with("profile:"))
    key.source = Source::profile;
  else
    return std::nullopt;
  std::string_view digits = doc_id.substr(8);
  if (digits.empty() || digits.size() > 18 || digits.front() < '1' || digits.front() > '9') return std::nullopt;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), key.id);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return key;
}

std::vector<Changed> project(Transaction& tx, const Targets& contacts, const Targets& profiles) {
  std::vector<Changed> changed;
  if (contacts.ids.empty() && profiles.ids.empty()) return changed;
  tx.execute(kLock, {std::span<const std::int64_t>(contacts.ids), std::span<const std::int64_t>(profiles.ids)});
  write(tx, Source::contact, contacts, changed);
  write(tx, Source::profile, profiles, changed);
  return changed;
}

std::size_t delete_nameless(Transaction& tx, std::span<const std::string_view> doc_ids) {
  if (doc_ids.empty()) return 0;
  tx.execute(kLockNameless, {doc_ids});
  return tx.query(kDeleteNameless, {doc_ids})->affected();
}

}  // namespace cutover::search
