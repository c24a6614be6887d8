#include "runtime/host/job_context.h"

#include "runtime/engine/worker_transaction.h"
#include "runtime/host/connect_options.h"
#include "runtime/observe/log.h"
#include "runtime/postgres/bulk_session.h"

namespace cutover {
namespace {

constexpr std::chrono::seconds kLogEvery{10};
constexpr int kAttempts = 5;  // of a transaction that loses against another one

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

// As fast as since the phase's total is known: what came before was preparation.
double HostJobContext::phase_eta_seconds(const JobProgress& progress,
                                         std::chrono::steady_clock::time_point now) {
  if (progress.total == 0 || progress.done < counted_done_) counted_since_.reset();
  if (!counted_since_ && progress.total > 0) {
    counted_since_ = now;
    counted_done_ = progress.done;
  }
  if (!counted_since_ || progress.done <= counted_done_ || progress.done > progress.total) return -1;
  return std::chrono::duration<double>(now - *counted_since_).count() *
         static_cast<double>(progress.total - progress.done) /
         static_cast<double>(progress.done - counted_done_);
}

void HostJobContext::report(const JobProgress& progress) {
  on_report_();
  const auto now = parts_.clock.monotonic();
  if (progress.phase_number != phase_) {
    if (phase_ != 0) metrics_.seconds.observe(std::chrono::duration<double>(now - phase_began_).count());
    phase_ = progress.phase_number;
    phase_began_ = now;
    counted_since_.reset();
    logged_ = {};
  }
  metrics_.phase.set(static_cast<double>(progress.phase_number));
  metrics_.done.set(static_cast<double>(progress.done));
  metrics_.total.set(static_cast<double>(progress.total));
  const double eta = phase_eta_seconds(progress, now);
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
