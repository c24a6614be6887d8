#include "workers/dispute/intake.h"

#include <algorithm>
#include <map>
#include <utility>

#include "workers/dispute/consequences.h"
#include "workers/dispute/domain/route.h"

namespace cutover::dispute {
namespace {

constexpr std::string_view kLock = "SELECT serving.lock_disputes('dispute_queue', $1::bigint[], '{}')";

// Cases that these principals opened around these times. (The OFFSET keeps a lookup for each principal.)
constexpr std::string_view kAround = R"sql(
SELECT q.case_id, q.principal_id, (extract(epoch FROM q.opened_at) * 1000000)::bigint
FROM unnest($1::bigint[], $2::text[]::timestamptz[], $3::text[]::timestamptz[]) u (principal_id, after, before)
CROSS JOIN LATERAL (
  SELECT d.case_id, d.principal_id, d.opened_at FROM dispute_queue d
  WHERE d.principal_id = u.principal_id AND d.opened_at BETWEEN u.after AND u.before AND d.appeal_of IS NULL OFFSET 0) q)sql";

// A case that the batch changes.
struct Change {
  CaseRecord* record;
  const Event* cause;
  Lane before;
  std::string_view route;  // the row of the routing table, of a new case
  bool reasons = false;    // it got one
  bool asks = false;       // for an evaluation
};

class Intake {
 public:
  Intake(std::span<const Event> events, std::span<const CaseEvent> read, Transaction& tx,
         std::vector<Verdict>& verdicts)
      : events_(events),
        read_(read),
        tx_(tx),
        verdicts_(verdicts),
        book_(tx, {"dispute-processor"}),
        announcer_(tx),
        channels_(book_, announcer_),
        consequences_(book_, channels_, announcer_) {}

  void run() {
    load();
    for (std::size_t i = 0; i < events_.size(); ++i) {
      event_ = &events_[i];
      announcer_.follow(*event_);
      if (const auto* opened = std::get_if<CaseOpened>(&read_[i]))
        verdicts_[i] = open(*opened);
      else if (const auto* added = std::get_if<EvidenceAdded>(&read_[i]))
        verdicts_[i] = add(*added);
      else if (const auto* reopened = std::get_if<CaseReopened>(&read_[i]))
        verdicts_[i] = reopen(*reopened);
    }
    for (Change& change : changes_) tell(change);
    book_.save();
    announcer_.finish();
  }

 private:
  // Locks the principals that open cases, then the rows of all cases that the batch may change.
  void load() {
    std::vector<std::int64_t> ids, principals;
    std::map<std::int64_t, std::pair<Instant, Instant>> around;
    for (const CaseEvent& read : read_) {
      if (std::int64_t id = case_id_of(read); id != 0) ids.push_back(id);
      const auto* opened = std::get_if<CaseOpened>(&read);
      if (!opened) continue;
      auto [found, added] = around.try_emplace(opened->principal_id, opened->opened_at, opened->opened_at);
      found->second.first = std::min(found->second.first, opened->opened_at);
      found->second.second = std::max(found->second.second, opened->opened_at);
    }
    if (!around.empty()) {
      std::vector<std::string> texts;
      texts.reserve(around.size() * 2);
      std::vector<std::string_view> after, before;
      for (const auto& [principal, times] : around) {
        principals.push_back(principal);
        append_timestamp(texts.emplace_back(), times.first - kRepeatWindow);
        after.push_back(texts.back());
        append_timestamp(texts.emplace_back(), times.second + kRepeatWindow);
        before.push_back(texts.back());
      }
      tx_.execute(kLock, {std::span<const std::int64_t>(principals)});
      const auto rows = tx_.query(
          kAround, {std::span<const std::int64_t>(principals), std::span<const std::string_view>(after),
                    std::span<const std::string_view>(before)});
      for (std::size_t i = 0; i < rows->size(); ++i) {
        ids.push_back(rows->integer(i, 0));
        openings_[rows->integer(i, 1)].push_back(
            {Instant{std::chrono::microseconds{rows->integer(i, 2)}}, rows->integer(i, 0)});
      }
    }
    book_.load(std::move(ids), false);
  }

  Verdict open(const CaseOpened& opened) {
    if (book_.find(opened.case_id))
      return DeadLetter{"security.case_opened: case " + std::to_string(opened.case_id) + " is open already"};
    CaseRecord record;
    record.case_id = opened.case_id;
    record.type = opened.type;
    record.severity = opened.severity;
    record.principal_id = opened.principal_id;
    record.counterparty_id = opened.counterparty_id;
    record.channel_id = opened.channel_id;
    record.opened_at = opened.opened_at;
    record.verified_business = opened.verified_business;
    const Route where = route(opened.severity, opened.evidence);
    record.routed_lane = record.base_lane = record.lane = where.lane;
    record.first_response_due = opened.opened_at + first_response_limit(where.lane);
    CaseRecord& added = book_.add(std::move(record));
    came(added);
    book_.add_evidence(added, CaseInput::Kind::opened, true, opened.opened_at, opened.fields);
    Change& change = change_of(added);
    change.route = where.rule;
    change.asks = true;
    if (opened.verified_business) escalate_by(change, Reason::verified_business, opened.opened_at);
    compare(added);
    return Done{};
  }

  Verdict add(const EvidenceAdded& added) {
    CaseRecord* record = book_.find(added.case_id);
    if (!record) return unknown(added.case_id);
    const bool pending = record->version > record->decided_version;
    Change& change = change_of(*record);
    came(*record);
    book_.add_evidence(*record, CaseInput::Kind::evidence, added.material, event_->occurred_at, added.fields);
    if (added.material)
      change.asks = true;
    else if (!pending) {
      record->decided_version = record->version;  // known to the next decision, and asks for none
      consequences_.rearm(*record);
    }
    if (added.material && record->state != State::resolved)
      escalate_by(change, Reason::evidence, event_->occurred_at);
    return Done{};
  }

  Verdict reopen(const CaseReopened& reopened) {
    CaseRecord* record = book_.find(reopened.case_id);
    if (!record) return unknown(reopened.case_id);
    Change& change = change_of(*record);
    came(*record);
    book_.add_evidence(*record, CaseInput::Kind::reopened, false, event_->occurred_at, {});
    change.asks = true;
    return Done{};
  }

  DeadLetter unknown(std::int64_t case_id) const {
    return {std::string(event_->event_name) + ": there is no case " + std::to_string(case_id)};
  }

  // The event at hand is the case's last one.
  void came(CaseRecord& record) {
    record.version = event_->subject.version;
    record.stream = event_->place.stream;
    record.sequence = static_cast<std::int64_t>(event_->place.sequence);
    book_.touch(record);
  }

  Change& change_of(CaseRecord& record) {
    auto [found, added] = index_.try_emplace(record.case_id, changes_.size());
    if (added) changes_.push_back({&record, event_, record.lane, {}});
    changes_[found->second].cause = event_;
    return changes_[found->second];
  }

  void escalate_by(Change& change, Reason reason, Instant at) {
    change.reasons |= consequences_.add_reason(*change.record, reason, at);
  }

  // Of two cases of a principal within a day the later one escalates, whichever is heard of first.
  void compare(CaseRecord& record) {
    const Opening opening{record.opened_at, record.case_id};
    std::vector<Opening>& others = openings_[record.principal_id];
    const bool repeated = std::any_of(others.begin(), others.end(),
                                      [&](const Opening& other) { return escalates(other, opening); });
    if (repeated) escalate_by(change_of(record), Reason::earlier_case, record.opened_at);
    for (const Opening& other : others) {
      if (!escalates(opening, other)) continue;
      CaseRecord* later = book_.find(other.case_id);
      if (later && later->state != State::resolved)
        escalate_by(change_of(*later), Reason::earlier_case, later->opened_at);
    }
    others.push_back(opening);
  }

  void tell(const Change& change) {
    CaseRecord& record = *change.record;
    announcer_.follow(*change.cause);
    if (!change.route.empty()) {
      book_.audit(record, "routed", change.route,
                  JsonWriter().begin().field("lane", static_cast<int>(record.routed_lane)).end().text());
      announcer_.arm(record, Timer::first_response, record.first_response_due);
    }
    if (change.reasons) consequences_.escalated(record, change.before);
    const bool waits = record.version > record.decided_version;
    if (change.asks || (waits && record.lane != change.before)) announcer_.queue_routed(record);
  }

  std::span<const Event> events_;
  std::span<const CaseEvent> read_;
  Transaction& tx_;
  std::vector<Verdict>& verdicts_;
  CaseBook book_;
  Announcer announcer_;
  ChannelClaims channels_;
  Consequences consequences_;
  const Event* event_ = nullptr;
  std::vector<Change> changes_;
  std::map<std::int64_t, std::size_t> index_;              // of `changes_` by case
  std::map<std::int64_t, std::vector<Opening>> openings_;  // by principal
};

}  // namespace

void take_in(std::span<const Event> events, std::span<const CaseEvent> read, Transaction& tx,
             std::vector<Verdict>& verdicts) {
  Intake(events, read, tx, verdicts).run();
}

}  // namespace cutover::dispute
