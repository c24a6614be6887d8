#include "workers/dispute/adjudication.h"

#include <type_traits>
#include <vector>

#include "workers/dispute/consequences.h"

namespace cutover::dispute {
namespace {

constexpr int kPutOffTimes = 16;  // about an hour and a half

class Adjudication {
 public:
  explicit Adjudication(Transaction& tx)
      : book_(tx, {"dispute-processor"}),
        announcer_(tx),
        channels_(book_, announcer_),
        consequences_(book_, channels_, announcer_) {}

  void run(std::span<const Event> events, std::span<const CaseEvent> read, EvidenceReader& reader, std::vector<Verdict>& verdicts) {
    std::vector<std::int64_t> ids;
    for (const CaseEvent& each : read)
      if (std::int64_t id = case_id_of(each); id != 0) ids.push_back(id);
    if (ids.empty()) return;
    channels_.lock(ids);
    book_.load(std::move(ids), true);
    book_.load_inputs(reader);
    for (std::size_t i = 0; i < events.size(); ++i) {
      CaseRecord* record = book_.find(case_id_of(read[i]));
      announcer_.follow(events[i]);
      if (const auto* routed = std::get_if<QueueRouted>(&read[i])) {
        if (!record || record->version < routed->version)
          verdicts[i] = put_off(*routed, routed->lane);
        else
          decide(*record, *routed);
      } else if (const auto* fired = std::get_if<TimerFired>(&read[i])) {
        if (!record || record->version < fired->version)
          verdicts[i] = put_off(*fired, lane_of(events[i]));
        else
          fire(*record, *fired, lane_of(events[i]));
      }
    }
    book_.save();
    channels_.save();
    announcer_.finish();
  }

 private:
  static bool ends_by(const std::optional<Instant>& end, Instant now) { return end && *end <= now; }

  static Lane lane_of(const Event& event) {
    const char digit = event.nats_subject.empty() ? '3' : event.nats_subject.back();
    return static_cast<Lane>(digit >= '0' && digit <= '3' ? digit - '0' : 3);
  }

  // The case is not as far as the message.
  template <class Message>
  Verdict put_off(const Message& message, Lane lane) {
    if (message.again >= kPutOffTimes)
      return DeadLetter{"case " + std::to_string(message.case_id) + " never got to version " + std::to_string(message.version)};
    if constexpr (std::is_same_v<Message, TimerFired>)
      announcer_.put_off(message, lane);
    else
      announcer_.put_off(message);
    return Done{};
  }

  void decide(CaseRecord& record, const QueueRouted& routed) {
    // It was decided meanwhile, or waits in a higher lane by now.
    if (routed.version <= record.decided_version || routed.lane > record.lane) return;
    catch_up(record);
  }

  void catch_up(CaseRecord& record) {
    if (record.version <= record.decided_version) return;
    if (record.decided_version == 0) channels_.open(record, record.opened_at);
    consequences_.live(record, [](CaseLife& life) { life.catch_up(); });
  }

  void fire(CaseRecord& record, const TimerFired& fired, Lane lane) {
    if (record.state == State::resolved) return;
    switch (fired.timer) {
      case Timer::hold:
      case Timer::cooling:
        // Time has come to `due`: what ends then or before ends, whichever timer says so.
        catch_up(record);
        if (ends_by(record.hold_until, fired.due) || ends_by(record.decide_at, fired.due))
          consequences_.live(record, [&](CaseLife& life) { life.advance(fired.due); });
        break;
      case Timer::first_response:
        miss_first_response(record, fired.due);
        break;
      case Timer::channel: get_channel(record, fired, lane); break;
    }
  }

  void get_channel(CaseRecord& record, const TimerFired& fired, Lane lane) {
    const auto blocker = record.blocked_by;
    if (blocker) {
      record.blocked_by.reset();
      channels_.open(record, fired.due);
      book_.touch(record);
      if (!record.blocked_by) return consequences_.live(record, [&](CaseLife& life) { life.unblock(fired.due); });
    }
    // Of a history that is replayed: the case has not asked for the channel yet, or the other one has not given it free yet.
    const bool early = record.decided_version == 0 || (blocker && record.blocked_by == blocker);
    if (early && fired.again < kPutOffTimes) announcer_.put_off(fired, lane);
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
                      EvidenceReader& reader, std::vector<Verdict>& verdicts) {
  Adjudication(tx).run(events, read, reader, verdicts);
}

}  // namespace cutover::dispute
