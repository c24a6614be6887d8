#pragma once

#include "runtime/contract/clock.h"
#include "runtime/engine/ports.h"
#include "runtime/event/event_ids.h"

namespace cutover {

// What a worker sees of the batch's transaction: statements go through, outgoing events get their envelope.
class WorkerTransaction final : public Transaction {
 public:
  // All outlive this. `producer` is the worker's name.
  WorkerTransaction(BatchTransaction& batch, std::string_view producer, EventIds& ids, Instant now)
      : batch_(batch), producer_(producer), ids_(ids), now_(now) {}

  std::unique_ptr<Rows> query(std::string_view sql, std::initializer_list<Param> parameters) override;
  void execute(std::string_view sql, std::initializer_list<Param> parameters) override;
  void emit(const Event& cause, Outgoing outgoing) override;
  void cancel_timer(std::string_view timer_key) override { batch_.cancel_timer(timer_key); }
  Instant now() const override { return now_; }

 private:
  BatchTransaction& batch_;
  std::string_view producer_;
  EventIds& ids_;
  Instant now_;
};

// The row of an outgoing event. `cause` null: it starts a chain of its own (schedules, chores).
OutboxRow make_outbox_row(const Event* cause, Outgoing outgoing, std::string_view producer, EventIds& ids, Instant now);

}  // namespace cutover
