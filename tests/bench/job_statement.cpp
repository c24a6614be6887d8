#include "tests/bench/job_statement.h"

#include <arpa/inet.h>

#include <algorithm>
#include <stdexcept>

namespace cutover::bench {
namespace {

constexpr std::uint32_t kTextOid = 25;
constexpr std::uint32_t kBigintOid = 20;

constexpr const char* kApply = R"sql(
WITH fresh AS (
  INSERT INTO bench.idempotency (consumer, key)
  SELECT $1, key FROM unnest($2::text[]) AS key
  ON CONFLICT DO NOTHING
  RETURNING key)
INSERT INTO bench.subject_state (subject_id, version, score, updated_at)
SELECT DISTINCT ON (subject_id) subject_id, version, score, now()
FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[]) AS event (key, subject_id, version, score)
JOIN fresh USING (key)
ORDER BY subject_id, version DESC
ON CONFLICT (subject_id) DO UPDATE
SET version = excluded.version, score = excluded.score, updated_at = excluded.updated_at
WHERE subject_state.version < excluded.version
)sql";

struct Clear {
  void operator()(PGresult* result) const { PQclear(result); }
};

void check(PGconn* connection, PGresult* result, const char* step) {
  const std::unique_ptr<PGresult, Clear> owned(result);
  if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
    throw std::runtime_error(std::string(step) + ": " + PQerrorMessage(connection));
}

void put32(std::string& out, std::uint32_t value) {
  value = htonl(value);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void start_array(std::string& out, std::uint32_t element_oid, std::size_t size) {
  out.clear();
  put32(out, 1);  // dimensions
  put32(out, 0);  // no nulls
  put32(out, element_oid);
  put32(out, static_cast<std::uint32_t>(size));
  put32(out, 1);  // lower bound
}

void put_text(std::string& out, std::string_view value) {
  put32(out, static_cast<std::uint32_t>(value.size()));
  out.append(value);
}

void put_bigint(std::string& out, std::int64_t value) {
  put32(out, 8);
  put32(out, static_cast<std::uint32_t>(static_cast<std::uint64_t>(value) >> 32));
  put32(out, static_cast<std::uint32_t>(value));
}

}  // namespace

JobStatement::JobStatement(const std::string& conninfo, std::string consumer)
    : connection_(PQconnectdb(conninfo.c_str())), consumer_(std::move(consumer)) {
  if (PQstatus(connection_.get()) != CONNECTION_OK)
    throw std::runtime_error(std::string("connecting to PostgreSQL: ") + PQerrorMessage(connection_.get()));
  check(connection_.get(), PQprepare(connection_.get(), "apply", kApply, 0, nullptr), "preparing the job");
}

void JobStatement::apply(std::span<JobRow> rows) {
  std::sort(rows.begin(), rows.end(), [](const JobRow& a, const JobRow& b) { return a.key < b.key; });
  start_array(keys_, kTextOid, rows.size());
  start_array(subjects_, kTextOid, rows.size());
  start_array(versions_, kBigintOid, rows.size());
  start_array(scores_, kBigintOid, rows.size());
  for (const JobRow& row : rows) {
    put_text(keys_, row.key);
    put_text(subjects_, row.subject_id);
    put_bigint(versions_, row.version);
    put_bigint(scores_, row.score);
  }
  const char* values[] = {consumer_.c_str(), keys_.data(), subjects_.data(), versions_.data(),
                          scores_.data()};
  const int lengths[] = {0, static_cast<int>(keys_.size()), static_cast<int>(subjects_.size()),
                         static_cast<int>(versions_.size()), static_cast<int>(scores_.size())};
  const int formats[] = {0, 1, 1, 1, 1};
  check(connection_.get(), PQexecPrepared(connection_.get(), "apply", 5, values, lengths, formats, 0),
        "applying a batch");
}

}  // namespace cutover::bench
