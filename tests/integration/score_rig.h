#pragma once

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "fixtures/test_database.h"
#include "runtime/host/job_context.h"
#include "runtime/postgres/transaction_source.h"
#include "workers/score/batch_job.h"

namespace cutover::test {

// A request as a test tells it.
struct Asked {
  std::string payload;  // {"scope":"all"}
  std::string at = "2026-06-01 12:00:00+00";
};
inline const std::string kAll = R"({"scope":"all","principal_ids":[],"reason":"test"})";
std::string naming(const std::vector<std::int64_t>& principals);

// The score orchestrator without a broker, with the rights of its role: batches as the engine hands them
// over, and its job. Opens its connections anew, so that a forked process may make one of its own.
class ScoreHand {
 public:
  //   instance  how PostgreSQL's list of connections tells it from others
  explicit ScoreHand(const std::string& database_url, const std::string& instance = "test");
  // A batch, committed. The first sequence of stream GRAPH is `sequence`.
  std::vector<Verdict> deliver(const std::vector<Asked>& requests, bool shadow = false,
                               std::int64_t sequence = 0);
  JobContext& context() { return *context_; }
  // Works the job's runs off. Throws what it throws.
  void work_off();

 private:
  SystemClock clock_;
  Settings settings_;
  Metrics metrics_;
  std::stop_source stop_;
  postgres::PgTransactionSource transactions_;
  EventIds ids_;
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<HostJobContext> context_;
  score::BatchJob job_{2};
  std::int64_t sequence_ = 0;
};

// The tables of the monolith and the scores, in a database of the test's own.
class ScoreWorld {
 public:
  ScoreWorld();
  void change(const std::string& sql) { database.query(sql); }
  // Principals 1..people with random channels, incidents, circles and contacts, around 2026-06-01.
  void populate(std::mt19937_64& random, int people, int contacts_each);
  // One random change of the source; returns the principals that a request must name.
  std::vector<std::int64_t> change_something(std::mt19937_64& random, int people);
  // Every column of a result as text, doubles to the last bit: "12 57.3 ...". From `table` where `condition`.
  std::vector<std::string> results(const std::string& table, const std::string& condition);

  TestDatabase database;
  ScoreHand hand;

 private:
  std::string contact_values(std::mt19937_64& random);
};

}  // namespace cutover::test
