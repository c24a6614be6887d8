#include "runtime/host/job_context.h"

#include "runtime/engine/worker_transaction.h"
#include "runtime/host/connect_options.h"
#include "runtime/observe/log.h"
#include "runtime/postgres/bulk_session.h"

namespace cutover {
namespace {

constexpr std::chrono::seconds kLogEvery{10};
constexpr int kAttempts = 5;  // of a transaction that loses against another one

// To the end of a phase that goes on as it went so far; -1: not known.
double expected_seconds(const JobProgress& progress, std::chrono::duration<double> since) {
  if (progress.done == 0 || progress.done > progress.total) return -1;
  const auto left = static_cast<double>(progress.total - progress.done);
  return since.count() * left / static_cast<double>(progress.done);
}

}  // namespace

HostJobContext::HostJobContext(Parts parts)
    : parts_(std::move(parts)),
      ids_(parts_.clock, parts_.random),
      transactions_(postgres_options(parts_.settings,
                                     "cutover " + parts_.worker + " " + parts_.job + " " + parts_.instance),
                    postgres::Identity{parts_.worker, parts_.instance, parts_.build, -1, parts_.notify}),
      metrics_(parts_.metrics.job(parts_.worker, parts_.job)) {}

void HostJobContext::in_transaction(bool shadow, const std::function<void(Transaction&)>& work) {
  for (int attempt = 1;; ++attempt) {
    try {
      const auto batch = transactions_.begin();
      batch->use_shadow(shadow);
      WorkerTransaction tx(*batch, parts_.worker, ids_, parts_.clock.now());
      work(tx);
      batch->commit();
      if (batch->has_outgoing()) parts_.wake_relay();
      return;
    } catch (const TransactionConflict&) {
      if (attempt == kAttempts) throw;
    }
  }
}

std::unique_ptr<BulkSession> HostJobContext::open_bulk(bool shadow) {
  postgres::ConnectionOptions options = postgres_options(
      parts_.settings, "cutover " + parts_.worker + " " + parts_.job + " stream " + parts_.instance);
  if (shadow) options.search_path = "shadow, public";
  return postgres::open_bulk_session(options);
}

void HostJobContext::report(const JobProgress& progress) {
  on_report_();
  const auto now = parts_.clock.monotonic();
  if (progress.phase_number != phase_) {
    if (phase_ != 0) metrics_.seconds.observe(std::chrono::duration<double>(now - phase_began_).count());
    phase_ = progress.phase_number;
    phase_began_ = now;
    logged_ = {};
  }
  metrics_.phase.set(static_cast<double>(progress.phase_number));
  metrics_.done.set(static_cast<double>(progress.done));
  metrics_.total.set(static_cast<double>(progress.total));
  const double eta = expected_seconds(progress, now - phase_began_);
  metrics_.eta_seconds.set(eta);
  if (progress.phase_number == 0 || now - logged_ < kLogEvery) return;
  logged_ = now;
  log_info("job", {{"worker", parts_.worker},
                   {"job", parts_.job},
                   {"phase", progress.phase},
                   {"done", progress.done},
                   {"total", progress.total},
                   {"eta_seconds", eta}});
}

void HostJobContext::log(const std::string& what, const std::string& detail) {
  log_info(what, {{"worker", parts_.worker}, {"job", parts_.job}, {"detail", detail}});
}

}  // namespace cutover
