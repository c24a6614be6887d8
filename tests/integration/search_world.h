#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fixtures/test_database.h"
#include "runtime/contract/clock.h"
#include "runtime/engine/worker_transaction.h"
#include "runtime/postgres/transaction_source.h"
#include "workers/search/job_queue.h"
#include "workers/search/search_worker.h"
#include "workers/search/source_walk.h"

namespace cutover::test {

// An event as a test tells it.
struct Told {
  std::string name;     // contact.edge_upserted
  std::string payload;  // {"contact_id":1}
  std::int64_t sequence = 0;  // 0: the next one
};

// A thread of the worker with a connection of its own, taking batches as the engine hands them over. One thread.
class SearchHand {
 public:
  // role  empty: the superuser
  SearchHand(const TestDatabase& database, const std::string& role = "");

  // A batch, committed.
  std::vector<Verdict> deliver(const std::vector<Told>& events, bool shadow = false);
  // The same in two steps, so that others can do something in between.
  std::vector<Verdict> begin(const std::vector<Told>& events, bool shadow = false);
  void commit();
  // Works the jobs off; returns how many there were.
  int run_jobs();
  // A turn of each chore that the projector has for schema shadow, until none has more to do.
  void run_shadow_chores();
  // Runs `what` in a transaction of its own.
  search::InTransaction in_transaction(bool shadow = false);

  SystemClock clock;
  postgres::PgTransactionSource transactions;

 private:
  EventIds ids_;
  search::SearchSettings settings_;
  std::unique_ptr<Worker> worker_;
  search::JobRunner jobs_;
  std::unique_ptr<BatchTransaction> open_;
  std::int64_t sequence_ = 0;
};

// The tables of the monolith and the documents, in a database of the test's own.
class SearchWorld {
 public:
  SearchWorld();

  // A statement on the source tables, committed.
  void change(const std::string& sql) { database.query(sql); }
  // How many documents differ from the view that defines them.
  std::int64_t differences(const std::string& schema = "serving");
  // One column of a document; empty for null and for no document.
  std::string field(const std::string& doc_id, const std::string& column, const std::string& schema = "serving");
  bool exists(const std::string& doc_id, const std::string& schema = "serving");
  // Names and subjects of the outgoing events: "search.document_upserted contact:1", in order; forgets them.
  std::vector<std::string> take_outgoing();

  TestDatabase database;
  SearchHand hand;
};

}  // namespace cutover::test
