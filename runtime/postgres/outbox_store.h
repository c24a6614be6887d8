#pragma once

#include "runtime/engine/ports.h"
#include "runtime/postgres/connection.h"

namespace cutover::postgres {

// cutover.outbox as the relay sees it, over one connection of its own; reconnects at the next call after a failure.
class PgOutboxStore final : public OutboxStore {
 public:
  explicit PgOutboxStore(ConnectionOptions options);
  ~PgOutboxStore() override;

  std::vector<OutboxEntry> take(std::size_t rows_max, std::span<const std::string_view> halted) override;
  void finish(std::span<const OutboxOutcome> outcomes, std::span<const OutboxRow> rearmed) override;
  void abandon() noexcept override;
  std::vector<OutboxKept> kept(std::int64_t after, std::size_t rows_max, std::chrono::milliseconds age) override;
  void reopen(std::span<const std::int64_t> ids) override;
  void remove(std::span<const std::int64_t> ids) override;
  OutboxDepth depth() override;
  bool arm(const OutboxRow& row) override;
  void wait(Deadline deadline, std::stop_token stop) override;
  void interrupt() noexcept override;

 private:
  void ensure_connected();

  Connection connection_;
  int interrupted_;        // an eventfd
  std::int64_t from_ = 0;  // no row below was waiting, a moment ago
  Deadline next_look_at_all_{};
  std::string kept_at_;  // when the last row of the last page of kept() was published
};

}  // namespace cutover::postgres
