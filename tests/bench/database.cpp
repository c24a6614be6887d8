#include "tests/bench/database.h"

#include <stdexcept>

#include <fmt/format.h>

namespace cutover::bench {
namespace {

constexpr const char* kCreateJobTables = R"sql(
DROP SCHEMA IF EXISTS bench CASCADE;
CREATE SCHEMA bench;
CREATE TABLE bench.idempotency (consumer text, key text, PRIMARY KEY (consumer, key));
CREATE TABLE bench.subject_state (
  subject_id text PRIMARY KEY,
  version    bigint NOT NULL,
  score      bigint NOT NULL,
  updated_at timestamptz NOT NULL);
)sql";

struct Clear {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, Clear>;

Result execute(PGconn* connection, const std::string& sql) {
  Result result(PQexec(connection, sql.c_str()));
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
    throw std::runtime_error(fmt::format("{}: {}", sql, PQerrorMessage(connection)));
  return result;
}

}  // namespace

Database::Database(const std::string& conninfo) : connection_(PQconnectdb(conninfo.c_str())) {
  if (PQstatus(connection_.get()) != CONNECTION_OK)
    throw std::runtime_error(fmt::format("connecting to PostgreSQL: {}", PQerrorMessage(connection_.get())));
  run("SET client_min_messages = warning");
}

void Database::run(const std::string& sql) {
  execute(connection_.get(), sql);
}

std::string Database::text(const std::string& sql) {
  const Result result = execute(connection_.get(), sql);
  if (PQntuples(result.get()) == 0) throw std::runtime_error(sql + ": no row");
  return PQgetvalue(result.get(), 0, 0);
}

std::int64_t Database::integer(const std::string& sql) {
  return std::stoll(text(sql));
}

std::string Database::alter_function(const std::string& function, const std::string& from,
                                     const std::string& to) {
  const std::string before = text(fmt::format("SELECT pg_get_functiondef('{}'::regproc)", function));
  const std::size_t at = before.find(from);
  if (at == std::string::npos) throw std::runtime_error(fmt::format("{} does not hold: {}", function, from));
  run(std::string(before).replace(at, from.size(), to));
  return before;
}

void Database::create_job_tables() {
  run(kCreateJobTables);
}

void Database::empty_job_tables() {
  run("TRUNCATE bench.idempotency, bench.subject_state");
  run("CHECKPOINT");
}

void Database::check_applied(const Expected& expected, const std::string& count_keys) {
  const auto expect = [&](const char* what, const std::string& sql, std::uint64_t wanted) {
    const std::int64_t found = integer(sql);
    if (found != static_cast<std::int64_t>(wanted))
      throw std::runtime_error(fmt::format("wrong result: {} {}, expected {}", what, found, wanted));
  };
  expect("subjects", "SELECT count(*) FROM bench.subject_state", expected.subjects);
  expect("sum of versions", "SELECT coalesce(sum(version), 0)::bigint FROM bench.subject_state",
         expected.version_sum);
  expect("idempotency keys", count_keys, expected.keys);
}

}  // namespace cutover::bench
