#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fixtures/test_database.h"
#include "runtime/engine/worker_transaction.h"
#include "runtime/postgres/transaction_source.h"
#include "unit/test_clock.h"
#include "workers/dispute/dispute_worker.h"

namespace cutover::test {

// An event as a test tells it.
struct CaseTold {
  std::string name;     // security.case_opened
  std::int64_t case_id = 0;
  std::int64_t version = 1;
  std::string payload;
  Instant at;           // occurred_at
};

// One thread of the dispute worker on a real database, with a broker that the test plays: what leaves the outbox comes back to the
// lanes when the clock, which stands still until the test advances it, says that its time has come. One thread.
class DisputeWorld {
 public:
  DisputeWorld();

  // {"case_id":7,...} for security.case_opened. `more`: members to add, such as `"channel_id":5,`.
  CaseTold opened(std::int64_t case_id, const std::string& type, const std::string& severity, const std::string& evidence,
                  const std::string& more = "");
  CaseTold evidence(std::int64_t case_id, std::int64_t version, const std::string& evidence, bool material = true);
  CaseTold reopened(std::int64_t case_id, std::int64_t version);

  // A batch, committed. Returns the reasons of dead letters, "" for what is done.
  std::vector<std::string> deliver(const std::vector<CaseTold>& events);
  // The same, and then everything that follows from it now.
  std::vector<std::string> tell(const std::vector<CaseTold>& events);
  // Lets time pass, with everything that falls due on the way.
  void pass(std::chrono::microseconds span);
  // Hands what waits in the outbox for the lanes to the worker, until nothing is due. Returns how many events.
  int pump();
  // A transaction as the worker's, for what is no event.
  void transact(const std::function<void(Transaction&)>& work);

  // One column of a case; empty for null and for no row.
  std::string row(std::int64_t case_id, const std::string& column);
  // "C1.one_otp resolve P0 24 {award_challenger}" of each evaluation, with "; " between.
  std::string decisions(std::int64_t case_id);
  // Audit lines of a case by what they say, with spaces between.
  std::string audit(std::int64_t case_id);
  // Subjects of outgoing events of a key, in order; only of names with this beginning.
  std::vector<std::string> sent(std::int64_t key, const std::string& beginning = "");
  std::int64_t sent_count(const std::string& subject) {
    return db.count("SELECT count(*) FROM cutover.outbox WHERE subject = $1 AND available_at IS NULL", {subject});
  }
  void channel(std::int64_t channel_id, const std::string& state, std::int64_t version = 1);

  TestDatabase db;
  TestClock clock;
  bool shadow = false;

 private:
  EventIds ids_;
  postgres::PgTransactionSource transactions_;
  std::unique_ptr<Worker> worker_;
  std::int64_t sequence_ = 0;
};

}  // namespace cutover::test
