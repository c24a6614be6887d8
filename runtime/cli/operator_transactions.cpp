#include "runtime/cli/operator_transactions.h"

#include <unistd.h>

#include <random>

#include <fmt/format.h>

#include "runtime/engine/worker_transaction.h"
#include "runtime/host/build_info.h"
#include "runtime/host/connect_options.h"
#include "runtime/postgres/transaction_source.h"

namespace cutover::cli {
namespace {

constexpr int kAttempts = 5;

class OperatorTransactions {
 public:
  OperatorTransactions(const Settings& settings, const std::string& worker, const std::string& command)
      : worker_(worker),
        ids_(clock_, [] { return std::uint64_t{std::random_device{}()} << 32 | std::random_device{}(); }),
        source_(postgres_options(settings, "cutover " + command),
                {.worker = worker,
                 .instance = fmt::format("{}-{}", command, ::getpid()),
                 .build = build_info().version,
                 .thread = 0,
                 .notify = true}) {}

  void run(const std::function<void(Transaction&)>& work) {
    for (int attempt = 1;; ++attempt) {
      try {
        const auto batch = source_.begin();
        WorkerTransaction transaction(*batch, worker_, ids_, clock_.now());
        work(transaction);
        batch->commit();
        return;
      } catch (const TransactionConflict&) {
        if (attempt == kAttempts) throw;
      }
    }
  }

 private:
  SystemClock clock_;
  std::string worker_;
  EventIds ids_;
  postgres::PgTransactionSource source_;
};

}  // namespace

InTransaction operator_transactions(const Settings& settings, const std::string& worker,
                                    const std::string& command) {
  auto transactions = std::make_shared<OperatorTransactions>(settings, worker, command);
  return [transactions](const std::function<void(Transaction&)>& work) { transactions->run(work); };
}

}  // namespace cutover::cli
