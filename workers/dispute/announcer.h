#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "runtime/contract/worker.h"
#include "workers/dispute/case_event.h"
#include "workers/dispute/domain/case_life.h"
#include "workers/dispute/domain/transition.h"

namespace cutover::dispute {

// The events and timers that cases send, each with the idempotency key that makes it the same work however
// often it is done.
class Announcer {
 public:
  explicit Announcer(Transaction& tx) : tx_(tx) {}

  // The event that what is announced from here on follows from.
  void follow(const Event& cause) { cause_ = &cause; }

  void queue_routed(const CaseRecord& record);
  void queue_escalated(const CaseRecord& record, Lane before);
  void auto_adjudicated(const CaseRecord& record, const Decided& decided);
  void hold_started(const CaseRecord& record, Instant until);
  void hold_extended(const CaseRecord& record, Instant until);
  void first_response_missed(const CaseRecord& record);
  void restriction(const CaseRecord& record, std::string_view kind, std::int64_t principal_id, bool applied,
                   Instant at);
  void warning_issued(const CaseRecord& record);
  // Counts in the record; at most three a case, of which the last is for the resolution. Says outcome and
  // what to do, no more.
  void notify(CaseRecord& record, bool final);
  void appeal_filed(const CaseRecord& appeal);
  void case_resolved(const CaseRecord& record);
  void transition_requested(const CaseRecord& record, Ownership from, Ownership to,
                            std::int64_t expected_version);
  void transition_rejected(const CaseRecord& record, std::string_view from, Ownership to);

  // Arms a timer of a case, or moves it.
  void arm(const CaseRecord& record, Timer timer, Instant due);
  void cancel(const CaseRecord& record, Timer timer);
  // Tells another case that its channel is free.
  void channel_free(std::int64_t case_id, Lane lane, Instant at);

  // Sends a message to a lane once more, later: it names a version of a case that was not taken in yet. That happens when history is
  // replayed, where a message of then is in its lane before the events of then were taken in again.
  void put_off(const QueueRouted& routed);
  void put_off(const TimerFired& fired, Lane lane);

  // Sends the timers; call it once, at the end.
  void finish();

 private:
  void emit(const CaseRecord& record, std::string name, std::string key, std::string payload);
  void put_off(Outgoing out, int again);
  struct Armed {
    const Event* cause;
    std::optional<Outgoing> event;  // none: cancelled
  };
  Transaction& tx_;
  const Event* cause_ = nullptr;
  std::map<std::string, Armed> timers_;  // by timer key: the last word counts
};

// 0 leaves the outbox first.
int outbox_priority(Lane lane) noexcept;

}  // namespace cutover::dispute
