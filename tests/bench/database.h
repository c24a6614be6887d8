#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <libpq-fe.h>

#include "tests/bench/event_sequence.h"

namespace cutover::bench {

// The driver's own connection. Every function throws std::runtime_error that names the step.
class Database {
 public:
  explicit Database(const std::string& conninfo);

  // Schema `bench` with the tables of the job, empty.
  void create_job_tables();
  // Empties the tables of the job and writes everything to disk, so that a run does not pay for the one
  // before.
  void empty_job_tables();
  // Checks that every event of the load was applied exactly once.
  //   count_keys  a query for the number of idempotency keys that were noted
  void check_applied(const Expected& expected, const std::string& count_keys);

  // Makes an SQL function anew with `from` replaced by `to`, which it must hold; returns what it was before.
  std::string alter_function(const std::string& function, const std::string& from, const std::string& to);

  void run(const std::string& sql);
  // The first cell of the first row.
  std::int64_t integer(const std::string& sql);
  std::string text(const std::string& sql);

 private:
  struct Close {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };
  std::unique_ptr<PGconn, Close> connection_;
};

}  // namespace cutover::bench
