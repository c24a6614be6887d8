#include "runtime/cli/audit_stream.h"

#include <algorithm>

#include <fmt/format.h>

#include "runtime/event/envelope.h"
#include "runtime/nats/api.h"
#include "runtime/nats/stream_reader.h"
#include "streams/topology.h"

namespace cutover::cli {
namespace {

using postgres::AuditLedger;
using postgres::KnownStream;

// A look at the ledger covers so many sequences, more where it answers with few ranges.
constexpr std::uint64_t kSpanMin = 4'096, kSpanFirst = 65'536, kSpanMax = 16'777'216;
constexpr std::size_t kFewRanges = 20'000, kManyRanges = 200'000;

constexpr std::uint64_t kGap = 5'000;       // known sequences that are read over rather than around
constexpr std::uint64_t kFew = 64;          // so few messages are asked for one by one
constexpr std::uint64_t kNotMany = 50'000;  // so many, where a stream allows no consumer
constexpr std::chrono::minutes kReadLimit{10};
constexpr int kRounds = 4;

// A message of the stream that the ledger did not know when it was asked.
struct Held {
  std::uint64_t sequence = 0;
  std::size_t lane = 0;
  std::optional<std::size_t> monolith;  // which of its consumers reads it
  std::optional<std::string> key;       // nullopt: without a header, and its body was not read
  std::string subject, message_id;      // only of what is suspected
};

struct MonolithReader {
  std::string durable;
  std::string filter_subject;
};

// Cuts a set into pieces that span about as much as the ledger is asked at a time.
class Slices {
 public:
  explicit Slices(const SequenceSet& set) : next_(set.ranges().begin()), end_(set.ranges().end()) {}
  // The next piece that lies within `span` sequences; empty at the end.
  SequenceSet take(std::uint64_t span) {
    SequenceSet slice;
    if (next_ == end_) return slice;
    at_ = std::max(at_, next_->begin);
    const std::uint64_t until = at_ + span;
    for (; next_ != end_ && next_->begin < until; ++next_) {
      slice.add({std::max(at_, next_->begin), std::min(next_->end, until)});
      if (next_->end > until) break;
    }
    at_ = until;
    return slice;
  }

 private:
  std::vector<SequenceRange>::const_iterator next_, end_;
  std::uint64_t at_ = 0;
};

SequenceSet sequences_of(const std::vector<Held>& held) {
  SequenceSet set;
  for (const Held& message : held) set.add(message.sequence);
  return set;
}

class StreamAuditor {
 public:
  StreamAuditor(const WorkerSpec& worker, const std::string& stream, AuditLedger& ledger,
                JetStream& jetstream, const AuditProgress& progress)
      : worker_(worker), ledger_(ledger), jetstream_(jetstream), progress_(progress) {
    audit_.stream = stream;
    for (const LaneSpec& lane : worker.lanes)
      if (lane.stream == stream) lanes_.push_back(&lane);
  }

  StreamAudit run(SequenceRange asked);

 private:
  struct State {
    Instant created;
    std::uint64_t first = 0, last = 0;
    SequenceSet deleted;
  };
  std::optional<State> state(bool deleted);
  ConsumerPosition position(const std::string& durable);
  void find_monolith_readers();

  std::optional<std::size_t> lane_of(std::string_view subject) const;
  std::optional<std::size_t> monolith_of(std::string_view subject) const;
  Held held_message(std::size_t lane, std::uint64_t sequence, std::string_view subject,
                    std::string_view message_id, std::string_view key, std::string_view body);
  void read_one_by_one(const SequenceSet& asked, std::vector<Held>& held);
  void read_lanes(const SequenceSet& asked, bool bodies, std::vector<Held>& held);
  std::vector<Held> held_in_stream(const SequenceSet& asked, bool bodies);

  void judge_all(std::vector<Held> open);
  void name(const Held& held, const Ownership& ownership);
  void count_gone(const SequenceSet& gone);

  const WorkerSpec& worker_;
  AuditLedger& ledger_;
  JetStream& jetstream_;
  const AuditProgress& progress_;
  std::vector<const LaneSpec*> lanes_;
  std::vector<MonolithReader> monolith_;
  std::optional<KnownStream> known_;
  bool keep_names_ = false;  // a backlog of millions is read without
  EnvelopeParser parser_;
  EventArena arena_;
  StreamAudit audit_;
};

// Counts what is settled of the asked sequences, and returns it.
SequenceSet count_in_ledger(const SequenceSet& asked, const KnownStream& stream, AuditLedger& ledger,
                            AuditCounts& counts, const AuditProgress& progress) {
  SequenceSet settled;
  std::uint64_t span = kSpanFirst;
  Slices slices(asked);
  for (SequenceSet slice = slices.take(span); !slice.empty(); slice = slices.take(span)) {
    const SequenceRange whole{slice.ranges().front().begin, slice.ranges().back().end};
    const AuditLedger::Stretch stretch = ledger.stretch(stream, whole);
    const SequenceSet counted = count_settled(stretch.view & slice, counts);
    for (const SequenceRange& range : counted.ranges()) settled.add(range);
    if (stretch.ranges < kFewRanges)
      span = std::min(span * 2, kSpanMax);
    else if (stretch.ranges > kManyRanges)
      span = std::max(span / 4, kSpanMin);
    progress("ledger of " + stream.stream, whole.end, asked.ranges().back().end);
  }
  return settled;
}

std::optional<StreamAuditor::State> StreamAuditor::state(bool deleted) {
  const auto info = jetstream_.admin().stream(audit_.stream, deleted);
  if (!info) return std::nullopt;
  const auto created = parse_api_time(info->value("created", std::string()));
  if (!created)
    throw BrokerError("stream " + audit_.stream + ": the server does not say when it was created");
  State state{*created,
              info->value("/state/first_seq"_json_pointer, std::uint64_t{0}),
              info->value("/state/last_seq"_json_pointer, std::uint64_t{0}),
              {}};
  if (info->contains("/state/deleted"_json_pointer))
    for (const auto& sequence : info->at("/state/deleted"_json_pointer))
      state.deleted.add(sequence.get<std::uint64_t>());
  return state;
}

// A consumer that is not there has delivered nothing. One that was created again behind what was
// acknowledged, and has not delivered since, has everything before its beginning behind it; the server does
// not count that as acknowledged.
ConsumerPosition StreamAuditor::position(const std::string& durable) {
  const auto info = jetstream_.admin().consumer(audit_.stream, durable);
  if (!info) return {};
  const auto number = [&](const char* path) {
    return info->value(nlohmann::json::json_pointer(path), std::uint64_t{0});
  };
  ConsumerPosition position{number("/delivered/stream_seq"), number("/ack_floor/stream_seq")};
  const std::uint64_t start = number("/config/opt_start_seq");
  if (start > 0 && number("/delivered/consumer_seq") == 0 && number("/num_pending") == 0)
    position = {std::max(position.delivered, start - 1), std::max(position.acked, start - 1)};
  return position;
}

void StreamAuditor::find_monolith_readers() {
  for (const postgres::MonolithConsumer& consumer : ledger_.monolith_consumers()) {
    if (consumer.stream != audit_.stream) continue;
    if (const auto info = jetstream_.admin().consumer(audit_.stream, consumer.durable))
      monolith_.push_back(
          {consumer.durable, info->value("/config/filter_subject"_json_pointer, std::string())});
  }
}

std::optional<std::size_t> StreamAuditor::lane_of(std::string_view subject) const {
  for (std::size_t i = 0; i < lanes_.size(); ++i)
    if (subjects_overlap(lanes_[i]->filter_subject, subject)) return i;
  return std::nullopt;
}

std::optional<std::size_t> StreamAuditor::monolith_of(std::string_view subject) const {
  for (std::size_t i = 0; i < monolith_.size(); ++i)
    if (monolith_[i].filter_subject.empty() || subjects_overlap(monolith_[i].filter_subject, subject))
      return i;
  return std::nullopt;
}

// body  followed by kEnvelopePadding bytes; empty when it was not read
Held StreamAuditor::held_message(std::size_t lane, std::uint64_t sequence, std::string_view subject,
                                 std::string_view message_id, std::string_view key, std::string_view body) {
  Held held;
  held.sequence = sequence;
  held.lane = lane;
  held.monolith = monolith_of(subject);
  if (keep_names_) {
    held.subject = subject;
    held.message_id = message_id;
  }
  if (!key.empty()) {
    held.key = key;
  } else if (!body.empty()) {
    const auto parsed = parser_.parse({.data = body}, arena_);
    held.key = std::visit([](const auto& event) { return std::string(event.key); }, parsed);
  }
  return held;
}

void StreamAuditor::read_one_by_one(const SequenceSet& asked, std::vector<Held>& held) {
  for (const SequenceRange& range : asked.ranges())
    for (std::uint64_t sequence = range.begin; sequence < range.end; ++sequence) {
      auto message = jetstream_.admin().message(audit_.stream, sequence);
      const auto lane = message ? lane_of(message->subject) : std::nullopt;
      if (!lane) continue;
      const std::size_t size = message->data.size();
      message->data.append(kEnvelopePadding, '\0');
      held.push_back(held_message(*lane, sequence, message->subject, message->header("Nats-Msg-Id"),
                                  message->header("Cutover-Key"),
                                  std::string_view(message->data).substr(0, size)));
    }
}

// One reader for each lane; what it delivers besides is passed over.
void StreamAuditor::read_lanes(const SequenceSet& asked, bool bodies, std::vector<Held>& held) {
  const std::uint64_t first = asked.ranges().front().begin, last = asked.ranges().back().end - 1;
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
    std::uint64_t read = 0;
    read_stream(
        jetstream_.connection(), {audit_.stream, lanes_[lane]->filter_subject, first, last, !bodies},
        [&](Message&& message) {
          if (++read % 8'192 == 0)
            progress_("lane " + lanes_[lane]->name, message.stream_sequence - first, last - first);
          if (asked.contains(message.stream_sequence))
            held.push_back(held_message(lane, message.stream_sequence, message.subject,
                                        message.header("Nats-Msg-Id"), message.header("Cutover-Key"),
                                        bodies ? message.data : std::string_view()));
        },
        std::chrono::steady_clock::now() + kReadLimit);
  }
}

// What the stream holds of the asked sequences, as far as it matches a lane; ascending.
std::vector<Held> StreamAuditor::held_in_stream(const SequenceSet& asked, bool bodies) {
  std::vector<Held> held;
  for (const SequenceRange& stretch : asked.stretches(kGap)) {
    const SequenceSet part = asked & SequenceSet(stretch);
    if (part.count() <= kFew) {
      read_one_by_one(part, held);
      continue;
    }
    const std::size_t before = held.size();
    try {
      read_lanes(part, bodies, held);
    } catch (const BrokerError&) {
      // A work queue, no permission, or a message that was deleted while it was being waited for.
      if (part.count() > kNotMany) throw;
      held.resize(before);
      read_one_by_one(part, held);
    }
  }
  std::sort(held.begin(), held.end(), [](const Held& a, const Held& b) { return a.sequence < b.sequence; });
  held.erase(std::unique(held.begin(), held.end(),
                         [](const Held& a, const Held& b) { return a.sequence == b.sequence; }),
             held.end());
  return held;
}

void StreamAuditor::name(const Held& held, const Ownership& ownership) {
  const Owner who = ownership.of(held.sequence, held.key.value_or(""));
  audit_.stranded.push_back({audit_.stream, held.sequence, held.subject, held.message_id,
                             lanes_[held.lane]->name, who.serving, who.epoch});
}

// Not in the stream any more, and in nobody's ledger.
void StreamAuditor::count_gone(const SequenceSet& gone) {
  if (gone.empty()) return;
  const auto now = state(false);
  const SequenceSet below = gone & SequenceSet({0, now ? now->first : 0});
  audit_.counts[AuditClass::below_retention] += below.count();
  audit_.counts[AuditClass::deleted] += (gone - below).count();
}

// Order matters. Who acks has committed, so the ledger is asked behind the consumers; a segment that was
// appended behind the consumers begins beyond every message that was there, so it changes nobody's owner.
void StreamAuditor::judge_all(std::vector<Held> open) {
  std::vector<std::pair<Held, Unsettled>> suspects;
  Ownership ownership;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<ConsumerPosition> lanes, monolith;
    for (const LaneSpec* lane : lanes_) lanes.push_back(position(worker_.name + "-" + lane->name));
    for (const MonolithReader& reader : monolith_) monolith.push_back(position(reader.durable));
    ownership = ledger_.ownership(known_);

    suspects.clear();
    bool key_needed = false;
    SequenceSet asked;
    for (Held& held : open) {
      Readers readers{lanes[held.lane], std::nullopt};
      if (held.monolith) readers.monolith = monolith[*held.monolith];
      const Unsettled verdict = judge(held.sequence, held.key, ownership, readers);
      if (verdict == Unsettled::in_flight) {
        ++audit_.counts[AuditClass::in_flight];
        continue;
      }
      key_needed = key_needed || verdict == Unsettled::key_needed;
      asked.add(held.sequence);
      suspects.emplace_back(std::move(held), verdict);
    }
    if (known_ && !asked.empty()) {
      const SequenceSet settled = count_in_ledger(asked, *known_, ledger_, audit_.counts, progress_);
      std::erase_if(suspects, [&](const auto& suspect) { return settled.contains(suspect.first.sequence); });
      asked = asked - settled;
    }
    if (suspects.empty()) return;
    if (round > 0 && !key_needed) break;
    if (round + 1 == kRounds) break;
    keep_names_ = true;
    open = held_in_stream(asked, key_needed);
    count_gone(asked - sequences_of(open));
  }
  for (const auto& [held, verdict] : suspects) {
    if (verdict == Unsettled::stranded) {
      ++audit_.counts[AuditClass::stranded];
      name(held, ownership);
    } else {
      ++audit_.unknown;
    }
  }
}

StreamAudit StreamAuditor::run(SequenceRange asked) {
  const auto begin = state(false);
  if (!begin) {
    audit_.trouble = fmt::format("there is no stream {}", audit_.stream);
    return std::move(audit_);
  }
  known_ = ledger_.stream(audit_.stream);
  if (known_) audit_.incarnation = known_->incarnation;
  if (known_ && known_->created_at != begin->created) {
    audit_.trouble = fmt::format(
        "stream {} is another one than incarnation {}, which was worked on: it was created at {}, that one "
        "at {}",
        audit_.stream, known_->incarnation, format_api_time(begin->created),
        format_api_time(known_->created_at));
    return std::move(audit_);
  }
  find_monolith_readers();
  audit_.range = {asked.begin, std::max(asked.begin, std::min(asked.end, begin->last + 1))};
  SequenceSet unsettled(audit_.range);
  if (known_) unsettled = unsettled - count_in_ledger(unsettled, *known_, ledger_, audit_.counts, progress_);

  const SequenceSet below({0, begin->first});
  std::vector<Held> held = held_in_stream(unsettled - below, false);
  const auto end = state(true);
  if (!end || end->created != begin->created) {
    audit_.trouble = fmt::format("stream {} was deleted while it was audited", audit_.stream);
    return std::move(audit_);
  }
  const SequenceSet gone = unsettled - sequences_of(held);
  const SequenceSet expired = gone & SequenceSet({0, end->first});
  audit_.counts[AuditClass::below_retention] += expired.count();
  audit_.counts[AuditClass::deleted] += (gone & end->deleted).count();
  judge_all(std::move(held));

  if (const auto beyond = known_ ? ledger_.settled_beyond(*known_, begin->last) : std::nullopt) {
    const auto now = state(false);
    if (now && now->last < *beyond)
      audit_.trouble = fmt::format(
          "stream {} ends at {}, but sequences up to {} were settled: the broker lost its end, and what "
          "takes these "
          "places is another event",
          audit_.stream, now->last, *beyond);
  }
  return std::move(audit_);
}

}  // namespace

StreamAudit audit_stream(const WorkerSpec& worker, const std::string& stream, SequenceRange range,
                         AuditLedger& ledger, JetStream& jetstream, const AuditProgress& progress) {
  return StreamAuditor(worker, stream, ledger, jetstream, progress).run(range);
}

StreamAudit audit_ledger_only(const std::string& stream, std::uint64_t from, AuditLedger& ledger,
                              const AuditProgress& progress) {
  StreamAudit audit;
  audit.stream = stream;
  audit.range = {from, from};
  const auto known = ledger.stream(stream);
  const auto highest = known ? ledger.settled_beyond(*known, from - 1) : std::nullopt;
  if (highest) {
    audit.incarnation = known->incarnation;
    audit.range.end = *highest + 1;
    count_in_ledger(SequenceSet(audit.range), *known, ledger, audit.counts, progress);
  }
  return audit;
}

}  // namespace cutover::cli
