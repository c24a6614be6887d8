#include "runtime/engine/outbox_relay.h"

#include <fmt/chrono.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "runtime/engine/halted_keys.h"
#include "runtime/event/envelope.h"
#include "runtime/event/envelope_writer.h"
#include "runtime/event/event_ids.h"
#include "runtime/observe/log.h"
#include "runtime/policy/schedule.h"

namespace cutover {
namespace {

constexpr std::chrono::milliseconds kFailurePause{500};
constexpr std::chrono::seconds kUpkeepEvery{10};
constexpr std::size_t kKeptPage = 500;  // outgoing events wait while it is compared
// Producers under load need not notify: where rows came lately more will come, and an empty look costs a millisecond.
constexpr std::chrono::milliseconds kBusyPoll{20};
constexpr std::chrono::seconds kBusyFor{1};
// A work queue forgets what was acknowledged: absence proves nothing there, and a replay is repeated by its plan.
constexpr std::string_view kWorkQueue = "REPLAY";

double seconds(auto duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

std::string firing_suffix(Instant at, bool daily) {
  const auto time = fmt::gmtime(std::chrono::system_clock::to_time_t(at));
  return daily ? fmt::format(":{:%Y-%m-%d}", time) : fmt::format(":{:%Y%m%dT%H%MZ}", time);
}

OutboxRow next_firing(const OutboxEntry& fired, Instant now, const std::function<std::string()>& new_event_id) {
  std::string padded = fired.payload + std::string(kEnvelopePadding, '\0');
  EnvelopeParser parser;
  EventArena arena;
  EnvelopeInput input;
  input.data = std::string_view(padded).substr(0, fired.payload.size());
  auto parsed = parser.parse(input, arena);
  const Event* old = std::get_if<Event>(&parsed);
  if (!old) throw std::invalid_argument("schedule " + fired.timer_key + ": " + std::get<Malformed>(parsed).reason);
  Instant at = CronTimes(fired.schedule).next_after(now);
  Event event = *old;
  OutboxRow row;
  row.event_id = row.message_id = new_event_id();
  const std::size_t suffix = old->idempotency_key.rfind(':');
  std::string key(old->idempotency_key.substr(0, suffix));
  // The last firing's key shows which form it has.
  key += firing_suffix(at, old->idempotency_key.find('T', suffix) == std::string_view::npos);
  event.event_id = event.correlation_id = row.event_id;
  event.occurred_at = at;
  event.idempotency_key = key;
  write_envelope(event, row.payload);
  row.subject = fired.subject;
  row.key = fired.key;
  row.priority = fired.priority;
  row.available_at = at;
  row.timer_key = fired.timer_key;
  row.schedule = fired.schedule;
  return row;
}

struct OutboxRelay::State {
  OutboxStore& store;
  Publisher& publisher;
  const Clock& clock;
  EventIds event_ids;
  OutboxMetrics& metrics;
  Health& health;
  RelayOptions options;
  HaltedKeys halted{};
  std::uint64_t verified_epoch = 0;
  Deadline next_upkeep{};
  Deadline next_depth{};
  Deadline busy_until{};
  std::int64_t removed_upto = 0;  // of the upkeep under way; 0: none
  std::jthread thread{};

  void run(std::stop_token stop);
  bool round();
  std::vector<OutboxRow> rearm(const std::vector<OutboxEntry>& entries, const std::vector<OutboxOutcome>& outcomes);
  void verify_all();
  std::int64_t verify_page(std::int64_t after, std::chrono::milliseconds age, bool then_remove);
  void upkeep();
  void measure_depth();
};

// The next firings of the schedules that were published.
std::vector<OutboxRow> OutboxRelay::State::rearm(const std::vector<OutboxEntry>& entries, const std::vector<OutboxOutcome>& outcomes) {
  std::vector<OutboxRow> rows;
  for (const OutboxEntry& entry : entries) {
    if (entry.schedule.empty()) continue;
    auto outcome = std::find_if(outcomes.begin(), outcomes.end(), [&](const OutboxOutcome& o) { return o.id == entry.id; });
    if (outcome == outcomes.end() || !outcome->ack.stored) continue;
    try {
      rows.push_back(next_firing(entry, clock.now(), [this] { return event_ids.next(); }));
    } catch (const std::invalid_argument& e) {
      log_error("a schedule cannot be armed again: it starts anew with its worker", {{"timer", entry.timer_key}, {"error", e.what()}});
    }
  }
  return rows;
}

// One turn: takes rows, publishes them, records the answers. False when there were none.
bool OutboxRelay::State::round() {
  std::vector<OutboxEntry> entries = store.take(options.batch_max, halted.waiting(clock.monotonic()));
  if (entries.empty()) return false;
  auto began = clock.monotonic();
  std::vector<OutboxOutcome> outcomes;
  std::set<std::string_view> failed_keys;
  // Waves: a row leaves when the row before it of the same key was stored; usually there is one wave.
  std::vector<const OutboxEntry*> rest;
  for (const OutboxEntry& entry : entries) rest.push_back(&entry);
  try {
    while (!rest.empty()) {
      std::vector<const OutboxEntry*> wave, later;
      std::set<std::string_view> keys;
      for (const OutboxEntry* entry : rest)
        if (!failed_keys.contains(entry->key)) (keys.insert(entry->key).second ? wave : later).push_back(entry);
      std::vector<Publication> messages;
      for (const OutboxEntry* entry : wave) {
        Publication& m = messages.emplace_back();
        m.subject = entry->subject;
        m.message_id = entry->message_id;
        m.payload = entry->payload;
        m.headers.push_back({"Cutover-Key", entry->key});
        for (const auto& [name, value] : entry->headers) m.headers.push_back({name, value});
      }
      if (!messages.empty()) {
        std::vector<PublishAck> acks = publisher.publish(messages, clock.monotonic() + options.publish_timeout);
        for (std::size_t i = 0; i < wave.size(); ++i) {
          if (!acks[i].stored) failed_keys.insert(wave[i]->key);
          if (acks[i].duplicate) metrics.duplicates.add();
          outcomes.push_back({wave[i]->id, std::move(acks[i])});
        }
      }
      rest = std::move(later);
    }
    std::size_t stored = 0, failed = 0;
    std::string error;
    for (const OutboxOutcome& outcome : outcomes) {
      outcome.ack.stored ? ++stored : ++failed;
      if (!outcome.ack.stored) error = outcome.ack.error;
    }
    store.finish(outcomes, rearm(entries, outcomes));
    for (const OutboxEntry& entry : entries)
      if (!failed_keys.contains(entry.key)) halted.stored(entry.key);
    for (std::string_view key : failed_keys) halted.failed(key, clock.monotonic());
    metrics.published.add(static_cast<double>(stored));
    metrics.failed.add(static_cast<double>(failed));
    metrics.halted_keys.set(static_cast<double>(halted.size()));
    metrics.publish_seconds.observe(seconds(clock.monotonic() - began));
    // What failed waits by its key, so the next round takes others.
    if (failed > 0) log_warn("outgoing events were not stored: their keys wait", {{"rows", failed}, {"error", error}});
    return failed_keys.empty() || halted.size() < HaltedKeys::kKeysMax;
  } catch (...) {
    store.abandon();
    throw;
  }
}

// Compares what the broker holds with what it acknowledged: one page, older than `age`. Returns the id to go on after, 0 at the end.
std::int64_t OutboxRelay::State::verify_page(std::int64_t after, std::chrono::milliseconds age, bool then_remove) {
  std::vector<OutboxKept> page = store.kept(after, kKeptPage, age);
  if (page.empty()) return 0;
  std::map<std::string, std::vector<const OutboxKept*>> by_stream;
  for (const OutboxKept& row : page) by_stream[row.stream].push_back(&row);
  std::vector<std::int64_t> lost, fine;
  for (auto& [stream, rows] : by_stream) {
    auto deadline = clock.monotonic() + std::chrono::seconds(30);
    std::optional<StreamLife> life;
    std::vector<std::optional<std::string>> ids(rows.size());
    if (stream != kWorkQueue) {
      std::vector<std::uint64_t> sequences;
      for (const OutboxKept* row : rows) sequences.push_back(row->sequence);
      life = publisher.stream_life(stream, deadline);
      if (life) ids = publisher.message_ids(stream, sequences, deadline);
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
      bool aged = life && rows[i]->sequence < life->first_sequence;  // retention took it
      bool there = ids[i] == rows[i]->message_id;
      (stream == kWorkQueue || aged || there ? fine : lost).push_back(rows[i]->id);
    }
  }
  if (!lost.empty()) {
    log_error("the broker lost messages that it had acknowledged: they are published again", {{"rows", lost.size()}});
    metrics.republished.add(static_cast<double>(lost.size()));
    store.reopen(lost);
  }
  if (then_remove && !fine.empty()) store.remove(fine);
  return page.back().id;
}

void OutboxRelay::State::verify_all() {
  removed_upto = 0;  // the store reads one walk at a time: upkeep begins anew
  std::int64_t after = 0;
  do after = verify_page(after, std::chrono::milliseconds(0), false);
  while (after != 0);
}

// A page at a time, between rounds: rows that are due never wait for more, and a relay that is never idle does it too.
void OutboxRelay::State::upkeep() {
  if (removed_upto == 0 && clock.monotonic() < next_upkeep) return;
  removed_upto = verify_page(removed_upto, options.keep, true);
  if (removed_upto == 0) next_upkeep = clock.monotonic() + kUpkeepEvery;
}

// Counting a large backlog takes long: then it is done less often.
void OutboxRelay::State::measure_depth() {
  Deadline began = clock.monotonic();
  if (began < next_depth) return;
  OutboxDepth depth = store.depth();
  metrics.depth.set(static_cast<double>(depth.waiting));
  metrics.timers.set(static_cast<double>(depth.timers));
  metrics.oldest_seconds.set(seconds(depth.oldest));
  next_depth = clock.monotonic() + kUpkeepEvery + 100 * (clock.monotonic() - began);
}

void OutboxRelay::State::run(std::stop_token stop) {
  Heartbeat heart = health.add_loop("outbox relay", std::chrono::minutes(5));
  bool failing = false;
  while (!stop.stop_requested()) {
    heart.beat();
    try {
      if (publisher.connection_epoch() != verified_epoch) {
        std::uint64_t epoch = publisher.connection_epoch();
        if (verified_epoch != 0) verify_all();
        verified_epoch = epoch;
        halted.clear();
      }
      bool more = round();
      upkeep();
      measure_depth();
      if (more) busy_until = clock.monotonic() + kBusyFor;
      if (more || removed_upto != 0) {
        failing = false;
        continue;
      }
      halted.forget_idle(clock.monotonic());
      if (failing) log_info("the outbox relay works again");
      failing = false;
      Deadline now = clock.monotonic();
      store.wait(halted.next(now, now + (now < busy_until ? std::min(kBusyPoll, options.poll_interval) : options.poll_interval)), stop);
    } catch (const std::exception& e) {
      if (!failing) log_error("the outbox relay cannot work: rows wait", {{"error", e.what()}});
      failing = true;
      std::mutex mutex;
      std::unique_lock lock(mutex);
      std::condition_variable_any().wait_for(lock, stop, kFailurePause, [] { return false; });
    }
  }
}

OutboxRelay::OutboxRelay(OutboxStore& store, Publisher& publisher, const Clock& clock, Random64 random, OutboxMetrics& metrics,
                         Health& health, RelayOptions options)
    : state_(new State{store, publisher, clock, EventIds(clock, std::move(random)), metrics, health, options}) {
  state_->thread = std::jthread([this](std::stop_token stop) { state_->run(stop); });
}

OutboxRelay::~OutboxRelay() {
  state_->thread.request_stop();
  if (state_->thread.joinable()) state_->thread.join();
}

void OutboxRelay::wake() { state_->store.interrupt(); }

}  // namespace cutover
