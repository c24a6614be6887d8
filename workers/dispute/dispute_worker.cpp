#include "workers/dispute/dispute_worker.h"

#include "workers/dispute/adjudication.h"
#include "workers/dispute/case_event.h"
#include "workers/dispute/intake.h"
#include "workers/dispute/output.h"

namespace cutover::dispute {
namespace {

class DisputeWorker final : public Worker {
 public:
  std::vector<Verdict> handle(std::span<const Event> events, Transaction& tx) override {
    std::vector<Verdict> verdicts(events.size(), Done{});
    std::vector<CaseEvent> read;
    bool case_events = false, lane_events = false;
    for (std::size_t i = 0; i < events.size(); ++i) {
      read.push_back(reader_.read(events[i]));
      if (auto* bad = std::get_if<Unreadable>(&read.back()))
        verdicts[i] = DeadLetter{std::string(events[i].event_name) + ": " + bad->reason};
      else if (events[i].event_name.starts_with("security."))
        case_events = true;
      else
        lane_events = true;
    }
    if (case_events) take_in(events, read, tx, verdicts);
    if (lane_events) adjudicate_cases(events, read, tx, evidence_, verdicts);
    return verdicts;
  }

 private:
  CaseEventReader reader_;
  EvidenceReader evidence_;
};

}  // namespace

std::unique_ptr<Worker> make_dispute_worker() {
  return std::make_unique<DisputeWorker>();
}

}  // namespace cutover::dispute

namespace cutover {

WorkerSpec dispute_processor_spec() {
  WorkerSpec spec;
  spec.name = "dispute-processor";
  // What is critical is taken in and decided before anything else; batches of the lower lanes are short,
  // because it waits for the one that runs.
  spec.lanes = {
      {.name = "urgent",
       .stream = "CORE",
       .filter_subject = "security.*.urgent",
       .priority = 0,
       .batch_max = 64},
      {.name = "p0", .stream = "CORE", .filter_subject = "dispute.*.p0", .priority = 0, .batch_max = 64},
      {.name = "p1", .stream = "CORE", .filter_subject = "dispute.*.p1", .priority = 1, .batch_max = 64},
      {.name = "normal",
       .stream = "CORE",
       .filter_subject = "security.*.normal",
       .priority = 2,
       .batch_max = 64},
      {.name = "p2", .stream = "CORE", .filter_subject = "dispute.*.p2", .priority = 3, .batch_max = 48},
      {.name = "plain", .stream = "CORE", .filter_subject = "security.*", .priority = 4, .batch_max = 64},
      {.name = "p3", .stream = "CORE", .filter_subject = "dispute.*.p3", .priority = 5, .batch_max = 32}};
  spec.events = dispute::event_types();
  spec.concurrency = 2;
  spec.ordered = true;
  spec.leaves_monolith = true;
  spec.make = [] { return dispute::make_dispute_worker(); };
  spec.outputs = {dispute::decisions_output(), dispute::cases_output()};
  return spec;
}

}  // namespace cutover
