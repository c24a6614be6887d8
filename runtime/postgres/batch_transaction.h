#pragma once

#include <string>
#include <vector>

#include "runtime/engine/ports.h"
#include "runtime/postgres/connection.h"

namespace cutover::postgres {

// Who writes: goes into the ledger, the outbox and the dead letters.
struct Identity {
  std::string worker;    // search-projector
  std::string instance;  // unique to this process
  std::string build;     // version and commit
  int thread = 0;        // number of the connection within the process
  bool notify = false;   // tell relays of other processes about new rows
};

// The transaction of one batch on a connection that it borrows.
class PgBatchTransaction final : public BatchTransaction {
 public:
  // started  whether a row of cutover.started waits to be removed; the commit removes it and clears this
  PgBatchTransaction(Connection& connection, const Identity& identity, bool& started);
  ~PgBatchTransaction() override;

  Claims claim(const Origin& origin, std::span<const ClaimItem> items) override;
  Claims claim_shadow(const Origin& origin, std::span<const ClaimItem> items) override;
  void use_shadow(bool shadow) override;
  std::unique_ptr<Rows> query(std::string_view sql, std::initializer_list<Param> parameters) override;
  void execute(std::string_view sql, std::initializer_list<Param> parameters) override;
  void enqueue(OutboxRow row) override;
  void cancel_timer(std::string_view timer_key) override;
  void settle(std::span<const Settlement> settlements) override;
  void dead_letter(const DeadLetterRecord& letter) override;
  int add_attempt(std::uint64_t sequence, std::string_view error) override;
  void forget_attempts(std::span<const std::uint64_t> sequences) override;
  void commit() override;
  bool has_outgoing() const override { return outgoing_; }

 private:
  void begin();
  void begin_claim(const Origin& origin, std::span<const ClaimItem> items);
  void flush_outbox();
  const std::string& shadow_period();

  Connection& connection_;
  const Identity& identity_;
  bool& started_;
  bool begun_ = false;
  bool committed_ = false;
  bool shadow_ = false;
  bool outgoing_ = false;
  Origin origin_;
  std::string shadow_period_;  // empty until it is needed
  std::vector<std::int64_t> sequences_, versions_, plans_;
  std::vector<std::string_view> event_ids_, keys_, marks_;
  std::string mark_text_;  // what marks_ point into: tenant, U+001F, idempotency key of each
  std::vector<OutboxRow> outbox_;
};

// Sends rows to cutover.outbox in their order; `worker` empty: none. Queued, not yet run.
void queue_outbox_rows(Connection& connection, std::string_view worker, std::span<const OutboxRow> rows);

}  // namespace cutover::postgres
