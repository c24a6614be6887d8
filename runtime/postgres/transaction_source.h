#pragma once

#include "runtime/engine/ports.h"
#include "runtime/postgres/batch_transaction.h"
#include "runtime/postgres/connection.h"

namespace cutover::postgres {

// One connection for one thread of a worker. Connects at the first use and again after a failure, never in between.
class PgTransactionSource final : public TransactionSource {
 public:
  PgTransactionSource(ConnectionOptions options, Identity identity);

  std::unique_ptr<BatchTransaction> begin() override;
  std::vector<Past> start_redelivered(const Origin& origin, std::span<const std::uint64_t> sequences, bool alone) override;
  bool probe() noexcept override;

 private:
  void ensure_connected();

  Connection connection_;
  Identity identity_;
  bool started_ = false;  // a row of cutover.started waits for a commit that removes it
};

}  // namespace cutover::postgres
