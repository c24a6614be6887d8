#include "workers/search/drift.h"

#include <algorithm>
#include <map>

namespace cutover::search {
namespace {

constexpr std::size_t kExamplesMax = 20;
constexpr std::size_t kReadAgainMax = 100'000;  // more differences than that are counted, not read again

// $1 contacts, $2 profiles, $3 the names of documents. The first row is how many there are or should be; then one for
// each that is not as it should be.
constexpr std::string_view kCompare = R"sql(
WITH expected AS MATERIALIZED (
  SELECT v.* FROM serving.search_document_source v WHERE v.source = 'contact' AND v.source_id = ANY ($1::bigint[])
  UNION ALL
  SELECT v.* FROM serving.search_document_source v WHERE v.source = 'profile' AND v.source_id = ANY ($2::bigint[])),
compared AS MATERIALIZED (
  SELECT coalesce(e.doc_id, d.doc_id) AS doc_id,
         CASE WHEN d.doc_id IS NULL THEN 'missing' WHEN e.doc_id IS NULL THEN 'extra'
              WHEN (e.kind, e.owner_id, e.visibility, e.display_name, e.phone, e.email, e.username, e.company_name, e.job_title,
                    e.circle_names, e.tsv)
                IS DISTINCT FROM
                   (d.kind, d.owner_id, d.visibility, d.display_name, d.phone, d.email, d.username, d.company_name, d.job_title,
                    d.circle_names, d.tsv)
              THEN 'different' END AS difference
  FROM expected e FULL JOIN (SELECT * FROM search_documents WHERE doc_id = ANY ($3::text[])) d ON d.doc_id = e.doc_id)
SELECT 'checked' AS difference, count(*)::text AS doc_id FROM compared
UNION ALL
SELECT difference, doc_id FROM compared WHERE difference IS NOT NULL)sql";

// Keys of contacts, profiles and documents alike, so that what is missing is found as well as what is too much.
constexpr std::string_view kSample = R"sql(
SELECT DISTINCT k.doc_id FROM (
  SELECT k.doc_id FROM (
    SELECT 'contact:' || contact_id AS doc_id FROM app.contacts TABLESAMPLE BERNOULLI ($1::double precision) REPEATABLE ($2::double precision)
    UNION ALL
    SELECT 'profile:' || profile_id FROM app.profiles TABLESAMPLE BERNOULLI ($1::double precision) REPEATABLE ($2::double precision)
    UNION ALL
    SELECT doc_id FROM search_documents TABLESAMPLE BERNOULLI ($1::double precision) REPEATABLE ($2::double precision)) k
  ORDER BY hashtextextended(k.doc_id, $3::bigint), k.doc_id LIMIT $4::bigint) k)sql";

// Of these documents, those that wait to be projected behind the lanes.
constexpr std::string_view kWaiting = R"sql(
SELECT w.doc_id FROM (
  SELECT 'contact:' || c AS doc_id FROM search_jobs j CROSS JOIN unnest(j.contact_ids) c
  UNION
  SELECT 'profile:' || p FROM search_jobs j CROSS JOIN unnest(j.profile_ids) p) w
WHERE w.doc_id = ANY ($1::text[]))sql";

constexpr std::string_view kNote = R"sql(
INSERT INTO search_drift (owner_id, mode, checked, missing, extra, different, in_flight, percent, verdict, examples)
VALUES (nullif($1::bigint, 0), $2::text, $3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::bigint, $8::double precision,
        $9::text, $10::text[]))sql";

// What differs, by document.
using Differences = std::map<std::string, std::string>;

// Adds what differs of a step; returns how many documents there are or should be.
std::int64_t compare(Transaction& tx, const WalkStep& step, Differences& differences) {
  std::vector<std::string> names = step.nameless;
  for (std::int64_t id : step.contacts.ids) names.push_back(document_id(Source::contact, id));
  for (std::int64_t id : step.profiles.ids) names.push_back(document_id(Source::profile, id));
  if (names.empty()) return 0;
  const std::vector<std::string_view> views(names.begin(), names.end());
  auto rows = tx.query(kCompare, {std::span<const std::int64_t>(step.contacts.ids), std::span<const std::int64_t>(step.profiles.ids),
                                  std::span<const std::string_view>(views)});
  std::int64_t checked = 0;
  for (std::size_t i = 0; i < rows->size(); ++i)
    if (rows->text(i, 0) == "checked")
      checked = std::stoll(std::string(rows->text(i, 1)));
    else
      differences[std::string(rows->text(i, 1))] = rows->text(i, 0);
  return checked;
}

std::vector<std::string> sample_names(Transaction& tx, const DriftOptions& options) {
  const double length = static_cast<double>(std::max<std::int64_t>(1, walk_length(tx, std::nullopt)));
  const double wanted = static_cast<double>(options.sample);
  // Twice as many as wanted, so that chance does not leave too few.
  const double percent = std::min(100.0, 100.0 * (2 * wanted + 100) / length);
  auto rows = tx.query(kSample, {percent, static_cast<double>(options.seed), options.seed,
                                 static_cast<std::int64_t>(options.sample)});
  std::vector<std::string> names;
  for (std::size_t i = 0; i < rows->size(); ++i) names.emplace_back(rows->text(i, 0));
  return names;
}

// Reads the given documents again, a chunk at a time; without those that wait for a job.
Differences compare_again(const InTransaction& in_transaction, const Differences& before, std::size_t chunk) {
  Differences still;
  std::vector<std::string> names;
  auto flush = [&] {
    in_transaction([&](Transaction& tx) {
      const std::vector<std::string_view> views(names.begin(), names.end());
      auto waiting = tx.query(kWaiting, {std::span<const std::string_view>(views)});
      compare(tx, step_of(names), still);
      for (std::size_t i = 0; i < waiting->size(); ++i) still.erase(std::string(waiting->text(i, 0)));
    });
    names.clear();
  };
  for (const auto& [name, difference] : before) {
    names.push_back(name);
    if (names.size() == chunk) flush();
  }
  if (!names.empty()) flush();
  return still;
}

void conclude(DriftReport& report, const Differences& differences, double limit_percent) {
  for (const auto& [name, difference] : differences) {
    ++(difference == "missing" ? report.missing : difference == "extra" ? report.extra : report.different);
    if (report.examples.size() < kExamplesMax) report.examples.push_back(difference + " " + name);
  }
  if (report.checked == 0) return;
  report.percent = 100.0 * static_cast<double>(differences.size()) / static_cast<double>(report.checked);
  report.verdict = report.percent > limit_percent ? DriftVerdict::different : DriftVerdict::ok;
}

void note(Transaction& tx, const DriftReport& report, std::optional<std::int64_t> owner) {
  const std::vector<std::string_view> examples(report.examples.begin(), report.examples.end());
  tx.query(kNote, {owner.value_or(0), std::string_view(report.mode), report.checked, report.missing, report.extra,
                   report.different, report.in_flight, report.percent, name_of(report.verdict),
                   std::span<const std::string_view>(examples)});
}

}  // namespace

std::string_view name_of(DriftVerdict verdict) {
  switch (verdict) {
    case DriftVerdict::ok: return "ok";
    case DriftVerdict::different: return "different";
    case DriftVerdict::inconclusive: return "inconclusive";
  }
  return "inconclusive";
}

DriftReport drift(const InTransaction& in_transaction, const DriftOptions& options,
                  const std::function<bool(std::chrono::milliseconds)>& wait,
                  const std::function<void(std::int64_t, std::int64_t)>& progress) {
  DriftReport report;
  report.mode = options.full || options.owner ? "full" : "sample";
  Differences differences;
  if (report.mode == "sample") {
    in_transaction([&](Transaction& tx) {
      report.checked = compare(tx, step_of(sample_names(tx, options)), differences);
    });
    if (progress) progress(report.checked, report.checked);
  } else {
    std::int64_t length = 0, seen = 0;
    in_transaction([&](Transaction& tx) { length = walk_length(tx, options.owner); });
    for (WalkPlace place; place.phase != WalkPlace::Phase::done;) {
      WalkStep step;
      std::int64_t checked = 0;
      in_transaction([&](Transaction& tx) {
        step = walk(tx, place, options.owner, options.chunk_documents);
        checked = compare(tx, step, differences);
      });
      report.checked += checked;
      seen += static_cast<std::int64_t>(step.seen);
      place = step.next;
      if (progress) progress(seen, std::max(seen, length));
    }
  }
  const std::size_t at_first = differences.size();
  for (int round = 0; round < options.settle_rounds && !differences.empty() && differences.size() <= kReadAgainMax; ++round) {
    if (!wait(options.settle)) break;
    differences = compare_again(in_transaction, differences, options.chunk_documents);
  }
  report.in_flight = static_cast<std::int64_t>(at_first - differences.size());
  conclude(report, differences, options.limit_percent);
  in_transaction([&](Transaction& tx) { note(tx, report, options.owner); });
  return report;
}

}  // namespace cutover::search
