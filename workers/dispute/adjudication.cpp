#include "workers/dispute/adjudication.h"

#include <vector>

#include "workers/dispute/consequences.h"

namespace cutover::dispute {
namespace {

class Adjudication {
 public:
  explicit Adjudication(Transaction& tx)
      : book_(tx, {"dispute-processor"}),
        announcer_(tx),
        channels_(book_, announcer_),
        consequences_(book_, channels_, announcer_) {}

  void run(std::span<const Event> events, std::span<const CaseEvent> read, EvidenceReader& reader) {
    std::vector<std::int64_t> ids;
    for (const CaseEvent& each : read)
      if (std::int64_t id = case_id_of(each); id != 0) ids.push_back(id);
    if (ids.empty()) return;
    channels_.lock(ids);
    book_.load(std::move(ids), true);
    book_.load_inputs(reader);
    for (std::size_t i = 0; i < events.size(); ++i) {
      CaseRecord* record = book_.find(case_id_of(read[i]));
      if (!record) continue;
      announcer_.follow(events[i]);
      if (const auto* routed = std::get_if<QueueRouted>(&read[i]))
        decide(*record, *routed);
      else if (const auto* fired = std::get_if<TimerFired>(&read[i]))
        fire(*record, *fired);
    }
    book_.save();
    channels_.save();
    announcer_.finish();
  }

 private:
  void decide(CaseRecord& record, const QueueRouted& routed) {
    // It was decided meanwhile, or waits in another lane by now.
    if (routed.version <= record.decided_version || routed.lane != record.lane) return;
    catch_up(record);
  }

  void catch_up(CaseRecord& record) {
    if (record.version <= record.decided_version) return;
    if (record.decided_version == 0) channels_.open(record, record.opened_at);
    consequences_.live(record, [](CaseLife& life) { life.catch_up(); });
  }

  void fire(CaseRecord& record, const TimerFired& fired) {
    if (record.state == State::resolved) return;
    switch (fired.timer) {
      case Timer::hold:
        catch_up(record);
        if (record.hold_until == fired.due)
          consequences_.live(record, [&](CaseLife& life) { life.advance(fired.due); });
        break;
      case Timer::cooling:
        catch_up(record);
        if (record.state == State::waiting && record.decide_at == fired.due)
          consequences_.live(record, [&](CaseLife& life) { life.advance(fired.due); });
        break;
      case Timer::first_response:
        miss_first_response(record, fired.due);
        break;
      case Timer::channel:
        if (!record.blocked_by) break;
        record.blocked_by.reset();
        channels_.open(record, fired.due);
        book_.touch(record);
        if (!record.blocked_by) consequences_.live(record, [&](CaseLife& life) { life.unblock(fired.due); });
        break;
    }
  }

  void miss_first_response(CaseRecord& record, Instant due) {
    if (record.first_response_at || record.first_response_due != due ||
        record.reasons.has(Reason::first_response))
      return;
    const Lane before = record.lane;
    announcer_.first_response_missed(record);
    consequences_.add_reason(record, Reason::first_response, due);
    consequences_.escalated(record, before);
    if (record.lane != before && record.version > record.decided_version) announcer_.queue_routed(record);
  }

  CaseBook book_;
  Announcer announcer_;
  ChannelClaims channels_;
  Consequences consequences_;
};

}  // namespace

void adjudicate_cases(std::span<const Event> events, std::span<const CaseEvent> read, Transaction& tx,
                      EvidenceReader& reader) {
  Adjudication(tx).run(events, read, reader);
}

}  // namespace cutover::dispute
