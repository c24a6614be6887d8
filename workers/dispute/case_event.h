#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "runtime/contract/worker.h"
#include "workers/dispute/domain/case_life.h"
#include "workers/dispute/evidence_fields.h"

namespace cutover::dispute {

// What the payloads of the worker's events say.
struct CaseOpened {
  std::int64_t case_id = 0;
  CaseType type = CaseType::c1;
  Severity severity = Severity::l1;
  std::int64_t principal_id = 0;
  std::optional<std::int64_t> counterparty_id, channel_id;
  Instant opened_at;
  bool verified_business = false;
  EvidenceFields fields;
  Evidence evidence;
};
struct EvidenceAdded {
  std::int64_t case_id = 0;
  bool material = false;
  EvidenceFields fields;
};
struct CaseReopened {
  std::int64_t case_id = 0;
};
struct QueueRouted {
  std::int64_t case_id = 0;
  std::int64_t version = 0;
  Lane lane = Lane::p0;
  int again = 0;  // how often it was put off
};
enum class Timer { hold, cooling, first_response, channel };
struct TimerFired {
  std::int64_t case_id = 0;
  Timer timer = Timer::hold;
  Instant due;
  std::int64_t version = 0;  // of the case when it was set; 0: unknown
  int again = 0;
};
// A payload that is not as its event's name promises.
struct Unreadable {
  std::string reason;  // for an operator; no payload
};
using CaseEvent = std::variant<CaseOpened, EvidenceAdded, CaseReopened, QueueRouted, TimerFired, Unreadable>;

std::int64_t case_id_of(const CaseEvent& event);
std::string_view name_of(Timer timer) noexcept;

// Reads the payloads of the events below. One for each thread: it keeps parsers.
class CaseEventReader {
 public:
  CaseEventReader();
  ~CaseEventReader();
  // `event` is one of event_types().
  CaseEvent read(const Event& event);

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
  EvidenceReader evidence_;
};

std::vector<EventType> event_types();

}  // namespace cutover::dispute
