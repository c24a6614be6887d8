#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "runtime/contract/clock.h"
#include "runtime/contract/worker.h"
#include "runtime/event/event_ids.h"
#include "runtime/host/settings.h"
#include "runtime/observe/metrics.h"
#include "runtime/observe/trace.h"
#include "runtime/postgres/transaction_source.h"

namespace cutover {

// What a job of a worker uses: connections of its own, the log, the job's metrics. One thread, but for
// `stopping`.
class HostJobContext final : public JobContext {
 public:
  struct Parts {
    const Settings& settings;
    std::string worker;
    std::string job;
    std::string instance;
    std::string build;
    const Clock& clock;
    Random64 random;
    Metrics& metrics;
    bool notify;  // tell relays of other processes about outgoing events
    std::function<void()> wake_relay;
    std::stop_token stop;
  };

  explicit HostJobContext(Parts parts);
  // Called with every report.
  void on_report(std::function<void()> then) { on_report_ = std::move(then); }

  void in_transaction(bool shadow, const std::function<void(Transaction&)>& work) override;
  std::unique_ptr<BulkSession> open_bulk(bool shadow) override;
  void report(const JobProgress& progress) override;
  void log(const std::string& what, const std::string& detail) override;
  bool stopping() const override { return parts_.stop.stop_requested(); }
  Instant now() const override { return parts_.clock.now(); }
  std::string_view instance() const override { return parts_.instance; }

 private:
  // To the end of the phase; -1: not known.
  double phase_eta_seconds(const JobProgress& progress, std::chrono::steady_clock::time_point now);

  Parts parts_;
  EventIds ids_;
  postgres::PgTransactionSource transactions_;
  JobMetrics& metrics_;
  std::function<void()> on_report_ = [] {};
  std::size_t phase_ = 0;
  std::chrono::steady_clock::time_point phase_began_, logged_;
  std::optional<std::chrono::steady_clock::time_point> counted_since_;  // the phase's total is known
  std::uint64_t counted_done_ = 0;                                      // what was done by then
};

}  // namespace cutover
