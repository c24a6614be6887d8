#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <libpq-fe.h>

namespace cutover::bench {

// One event, as far as the job needs it. The views must live until `apply` returns.
struct JobRow {
  std::string_view key;
  std::string_view subject_id;
  std::int64_t version = 0;
  std::int64_t score = 0;
};

// The job that every measured program does, as one statement for a whole batch: insert the idempotency keys
// into `bench.idempotency`, and upsert the subjects of the new ones into `bench.subject_state` unless a later
// version is there. One connection, arrays in binary form. Not thread safe.
class JobStatement {
 public:
  // Throws std::runtime_error when the database cannot be reached or the tables are missing.
  JobStatement(const std::string& conninfo, std::string consumer);
  // Commits when it returns. Rows in any order: it sorts them by key, so that two batches never deadlock.
  // Throws std::runtime_error.
  void apply(std::span<JobRow> rows);

 private:
  struct Close {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };
  std::unique_ptr<PGconn, Close> connection_;
  const std::string consumer_;
  std::string keys_, subjects_, versions_, scores_;  // kept for their capacity
};

}  // namespace cutover::bench
