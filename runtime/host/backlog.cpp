#include "runtime/host/backlog.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runtime/engine/claim_item.h"
#include "runtime/event/envelope.h"
#include "runtime/nats/publisher.h"
#include "runtime/nats/stream_admin.h"
#include "runtime/nats/stream_reader.h"
#include "runtime/policy/error_group.h"

namespace cutover {
namespace {

using postgres::SequenceRanges;

constexpr std::size_t kChunk = 2'000;  // events in one call of cutover.seize

// Everything that decides whose an event of a stream is, and what of it is settled.
struct View {
  std::vector<Segment> segments;
  Side first = Side::monolith;  // before anything was decided
  SequenceRanges unsettled;
  int incarnation = 0;
  bool by_key = false;  // a canary: the key decides

  Side owner_of(std::uint64_t sequence, std::string_view key) const {
    return owner(segments, incarnation, sequence, key, first).serving;
  }
};

// The first sequence that the ledger knows anything about; what is older was over before there was a ledger.
constexpr const char* kFirstSettled = R"sql(
SELECT coalesce(min(lower(t.span)), 0) FROM cutover.settlements t
JOIN cutover.workers w USING (worker_id) JOIN cutover.streams s USING (stream_id)
WHERE w.worker = $1::text AND s.stream = $2::text AND s.incarnation = $3::bigint AND t.side <> 's')sql";

bool first_owner_is_worker(postgres::Connection& database, const std::string& worker) {
  const auto rows = database.run("SELECT first_owner = 'worker' FROM cutover.workers WHERE worker = $1::text",
                                 {std::string_view(worker)});
  return rows->size() > 0 && rows->boolean(0, 0);
}

View read_view(postgres::Connection& database, const std::string& worker, const std::string& stream,
               int incarnation, Side side, std::uint64_t last) {
  View view;
  view.incarnation = incarnation;
  std::uint64_t from = last + 1;
  for (const postgres::SegmentRow& row : postgres::read_segments(database, worker)) {
    if (row.stream != stream || row.segment.incarnation != incarnation) continue;
    view.segments.push_back(row.segment);
    view.by_key |= row.segment.mode == Mode::canary;
    const bool could_own =
        row.segment.mode == Mode::canary || (row.segment.mode == Mode::worker) == (side == Side::worker);
    if (could_own) from = std::min(from, std::max<std::uint64_t>(row.segment.from_sequence, 1));
  }
  if (first_owner_is_worker(database, worker)) view.first = Side::worker;
  if (view.owner_of(0, "") == side) from = 1;
  const auto settled = database.run(
      kFirstSettled, {std::string_view(worker), std::string_view(stream), std::int64_t{incarnation}});
  if (side == Side::monolith) from = std::max(from, static_cast<std::uint64_t>(settled->integer(0, 0)));
  view.unsettled = postgres::read_unsettled(database, worker, stream, incarnation, from, last);
  return view;
}

class Reader {
 public:
  Reader(Connection& broker, const WorkerSpec& worker, Side side, bool bodies)
      : broker_(broker), admin_(broker), worker_(worker), side_(side), bodies_(bodies) {}

  // Appends what is found in (backlog.read_to, last].
  void read(const View& view, Backlog& backlog, std::uint64_t last, Deadline deadline,
            const std::function<void(std::uint64_t)>& progress) {
    const std::size_t before = backlog.events.size();
    for (const LaneSpec& lane : worker_.lanes) {
      if (lane.stream != backlog.stream || view.unsettled.empty()) continue;
      StreamRange range{lane.stream, lane.filter_subject,
                        std::max(view.unsettled.front().first, backlog.read_to + 1),
                        std::min(view.unsettled.back().second, last), !bodies_ && !view.by_key};
      // What its consumer acknowledged is settled; the acknowledgement follows the commit.
      if (side_ == Side::worker)
        if (const auto consumer = admin_.consumer(lane.stream, worker_.name + "-" + lane.name))
          range.first = std::max(range.first,
                                 consumer->value("/ack_floor/stream_seq"_json_pointer, std::uint64_t{0}) + 1);
      read_stream(
          broker_, range, [&](Message&& message) { take(view, backlog, message, progress); }, deadline);
    }
    // Lanes were read one after the other; the stream's order is one.
    std::sort(backlog.events.begin() + static_cast<std::ptrdiff_t>(before), backlog.events.end(),
              [](const BacklogEvent& a, const BacklogEvent& b) { return a.sequence < b.sequence; });
    backlog.read_to = last;
  }

 private:
  void take(const View& view, Backlog& backlog, const Message& message,
            const std::function<void(std::uint64_t)>& progress) {
    if (!postgres::contains(view.unsettled, message.stream_sequence)) return;
    BacklogEvent event;
    event.sequence = message.stream_sequence;
    event.key = message.header("Cutover-Key");
    if (bodies_ || view.by_key) {
      arena_.reset();
      EnvelopeInput input;
      input.data = message.data;
      input.nats_subject = message.subject;
      input.cutover_key = message.header("Cutover-Key");
      const auto parsed = parser_.parse(input, arena_);
      const ClaimItem item = claim_question(message, parsed, event.sequence, worker_.name, true).item;
      event.event_id = item.event_id;
      event.key = item.key;
    }
    if (view.owner_of(event.sequence, event.key) != side_) return;
    if (bodies_) {
      event.subject = error_text(message.subject);
      event.payload = message.data;
      nlohmann::json trace = nlohmann::json::object();
      for (const char* name : {"traceparent", "tracestate"})
        if (const auto value = message.header(name); !value.empty()) trace[name] = error_text(value);
      event.headers = trace.dump();
    }
    backlog.events.push_back(std::move(event));
    if (progress && ++count_ % 1'000 == 0) progress(count_);
  }

  Connection& broker_;
  StreamAdmin admin_;
  const WorkerSpec& worker_;
  const Side side_;
  const bool bodies_;
  EnvelopeParser parser_;
  EventArena arena_;
  std::uint64_t count_ = 0;
};

std::vector<std::string> streams_of(const WorkerSpec& worker) {
  std::set<std::string> names;
  for (const LaneSpec& lane : worker.lanes) names.insert(lane.stream);
  return {names.begin(), names.end()};
}

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "\\x";
  text.reserve(2 + 2 * bytes.size());
  for (const unsigned char c : bytes) {
    text += kDigits[c >> 4];
    text += kDigits[c & 15];
  }
  return text;
}

// Columns of a chunk; views into the events but for the payloads.
struct Chunk {
  std::vector<std::int64_t> sequences;
  std::vector<std::string_view> event_ids, subjects, keys, headers, payloads;
  std::vector<std::string> hexes;
};

Chunk columns(const Backlog& backlog, std::size_t from, std::size_t to) {
  const auto text = [](const std::string& value) { return std::string_view(value.data(), value.size()); };
  Chunk chunk;
  chunk.hexes.reserve(to - from);
  for (std::size_t i = from; i < to; ++i) {
    const BacklogEvent& event = backlog.events[i];
    chunk.sequences.push_back(static_cast<std::int64_t>(event.sequence));
    chunk.event_ids.push_back(text(event.event_id));
    chunk.subjects.push_back(text(event.subject));
    chunk.keys.push_back(text(event.key));
    chunk.headers.push_back(text(event.headers));
    chunk.hexes.push_back(hex(event.payload));
    chunk.payloads.push_back(text(chunk.hexes.back()));
  }
  return chunk;
}

constexpr const char* kSeize = R"sql(
SELECT cutover.seize($1::text, $2::bigint, $3::text, $4::bigint::integer, $5::bigint[], $6::text[], $7::text[], $8::text[],
  $9::text[]::jsonb[], $10::text[]::bytea[]))sql";

}  // namespace

std::vector<Backlog> read_backlog(postgres::Connection& database, Connection& broker,
                                  const WorkerSpec& worker, Side side, bool bodies, Deadline deadline,
                                  const std::function<void(std::uint64_t)>& progress) {
  const std::vector<std::string> streams = streams_of(worker);
  NatsPublisher asked(broker);
  Reader reader(broker, worker, side, bodies);
  std::vector<Backlog> all;
  for (const auto& [stream, life] : postgres::read_lives(database, streams)) {
    const auto now = asked.stream_life(stream, deadline);
    if (!now || now->created_at != life.created_at) continue;
    Backlog& backlog = all.emplace_back(Backlog{stream, life.incarnation, 0, {}});
    const View view = read_view(database, worker.name, stream, life.incarnation, side, now->last_sequence);
    reader.read(view, backlog, now->last_sequence, deadline, progress);
  }
  return all;
}

void top_up(postgres::Connection& database, Connection& broker, const WorkerSpec& worker,
            std::vector<Backlog>& backlog, Deadline deadline) {
  NatsPublisher asked(broker);
  Reader reader(broker, worker, Side::worker, true);
  for (Backlog& part : backlog) {
    const auto now = asked.stream_life(part.stream, deadline);
    if (!now || now->last_sequence <= part.read_to) continue;
    const View view =
        read_view(database, worker.name, part.stream, part.incarnation, Side::worker, now->last_sequence);
    reader.read(view, part, now->last_sequence, deadline, {});
  }
}

Seized seize(postgres::Connection& database, const std::string& worker, std::int64_t epoch,
             const std::vector<Backlog>& backlog) {
  Seized seized;
  for (const Backlog& part : backlog)
    for (std::size_t from = 0; from < part.events.size(); from += kChunk) {
      const Chunk chunk = columns(part, from, std::min(from + kChunk, part.events.size()));
      const auto rows = database.run(
          kSeize,
          {std::string_view(worker), epoch, std::string_view(part.stream), std::int64_t{part.incarnation},
           std::span<const std::int64_t>(chunk.sequences), std::span<const std::string_view>(chunk.event_ids),
           std::span<const std::string_view>(chunk.subjects), std::span<const std::string_view>(chunk.keys),
           std::span<const std::string_view>(chunk.headers),
           std::span<const std::string_view>(chunk.payloads)});
      seized.events += static_cast<std::uint64_t>(rows->integer(0, 0));
    }
  const auto replays =
      database.run("SELECT cutover.seize_replays($1::text, $2::bigint)", {std::string_view(worker), epoch});
  seized.replays = static_cast<std::uint64_t>(replays->integer(0, 0));
  if (seized.events + seized.replays > 0) database.queue("SELECT pg_notify('cutover_outbox', '')");
  return seized;
}

}  // namespace cutover
