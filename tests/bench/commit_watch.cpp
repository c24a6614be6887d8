#include "tests/bench/commit_watch.h"

#include <cstring>
#include <utility>

#include <libpq-fe.h>

namespace cutover::bench {
namespace {

struct Expected {
  Measurement* measurement = nullptr;
  std::vector<std::int64_t> published_us;
};
thread_local Expected expected;

void committed() {
  if (expected.measurement == nullptr) return;
  expected.measurement->committed(expected.published_us.size(), expected.published_us);
  expected.measurement = nullptr;
}

}  // namespace

void CommitWatch::expect_commit(Measurement& measurement, std::vector<std::int64_t> published_us) {
  expected.measurement = &measurement;
  expected.published_us = std::move(published_us);
}

}  // namespace cutover::bench

// The linker sends every call of PQgetResult here; the names are its own.
extern "C" PGresult* __real_PQgetResult(PGconn* connection);   // NOLINT
extern "C" PGresult* __wrap_PQgetResult(PGconn* connection) {  // NOLINT
  PGresult* result = __real_PQgetResult(connection);
  if (result != nullptr && std::strcmp(PQcmdStatus(result), "COMMIT") == 0) cutover::bench::committed();
  return result;
}
