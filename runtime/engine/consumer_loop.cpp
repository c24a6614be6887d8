#include "runtime/engine/consumer_loop.h"

#include <charconv>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "runtime/engine/dependency_gate.h"
#include "runtime/engine/rate_cap.h"
#include "runtime/event/event_arena.h"
#include "runtime/observe/log.h"
#include "runtime/policy/lane_choice.h"

namespace cutover {
namespace {

constexpr std::chrono::milliseconds kReaderTick{100};
constexpr std::chrono::milliseconds kLoopStuckAfter{std::chrono::minutes(5)};
constexpr std::size_t kReceiveMax = 512;

// What waits for one thread.
struct Inbox {
  std::mutex mutex;
  std::condition_variable_any arrived;
  std::vector<std::deque<Message>> queues;  // by lane
  std::size_t total = 0;
};

std::vector<LaneRank> ranks_of(const std::vector<ConsumerLane>& lanes) {
  std::vector<LaneRank> ranks;
  for (const ConsumerLane& lane : lanes) ranks.push_back({lane.spec.priority, lane.spec.max_wait});
  return ranks;
}

// Where a replayed message came from; stream and incarnation are empty when its headers do not say.
Origin origin_of(const Message& message) {
  Origin origin;
  origin.stream = message.header("Cutover-Origin-Stream");
  std::string_view text = message.header("Cutover-Origin-Incarnation");
  std::from_chars(text.data(), text.data() + text.size(), origin.incarnation);
  return origin;
}

// Sleeps; returns false at stop.
bool rest(Inbox& inbox, std::chrono::milliseconds time, std::stop_token stop) {
  std::unique_lock lock(inbox.mutex);
  if (time.count() > 0) inbox.arrived.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace

LaneSpec twin_of(LaneSpec lane) {
  lane.name = "shadow_" + lane.name;
  lane.stream = kShadowStream;
  lane.filter_subject.insert(0, kShadowPrefix);
  lane.priority = 9;
  return lane;
}

struct ConsumerLoop::State {
  explicit State(Parts p)
      : parts(std::move(p)),
        progress(parts.source, parts.clock),
        gate([this](bool shut, const std::string& cause) { gate_changed(shut, cause); }),
        replay_cap(parts.options.replay_per_second),
        inboxes(parts.spec.concurrency) {
    for (Inbox& inbox : inboxes) inbox.queues.resize(parts.lanes.size());
    for (const ConsumerLane& lane : parts.lanes) metrics.push_back(&parts.metrics.lane(parts.spec.name, lane.spec.name));
  }

  void read(std::stop_token stop);
  void work(std::size_t thread, std::stop_token stop);
  std::optional<std::size_t> take(std::size_t thread, LaneChoice& choice, std::vector<Message>& batch);
  bool process(BatchEngine& engine, TransactionSource& transactions, Heartbeat& heart, std::size_t lane,
               std::vector<Message>& batch, std::stop_token stop);
  std::size_t thread_of(const Message& message, EnvelopeParser& parser, EventArena& arena) const;
  void gate_changed(bool shut, const std::string& cause);
  void set_pauses(const std::function<void()>& change);
  void refuse(const std::string& why);
  void hand_back();

  Parts parts;
  std::vector<LaneMetrics*> metrics;
  ProgressKeeper progress;
  DependencyGate gate;
  RateCap replay_cap;
  std::deque<Inbox> inboxes;
  mutable std::mutex mutex;
  std::string refused;  // guarded by mutex
  bool gate_shut = false, twins_served = false, draining = false;  // guarded by mutex
  std::condition_variable ended;
  std::size_t running = 0;  // threads, guarded by mutex
  std::jthread reader;
  std::vector<std::jthread> workers;
};

// What stops a lane: everything that stops all, and for a twin that nobody wants it.
void ConsumerLoop::State::set_pauses(const std::function<void()>& change) {
  std::lock_guard lock(mutex);
  change();
  const bool all = gate_shut || draining || !refused.empty();
  for (std::size_t lane = 0; lane < parts.lanes.size(); ++lane)
    parts.source.pause(lane, all || (parts.lanes[lane].twin && !twins_served));
}

void ConsumerLoop::State::gate_changed(bool shut, const std::string& cause) {
  set_pauses([&] { gate_shut = shut; });
  parts.metrics.worker(parts.spec.name).paused.set(shut ? 1 : 0);
  if (shut)
    log_error("a dependency is away: lanes pause, nothing counts as an attempt", {{"worker", parts.spec.name}, {"error", cause}});
  else
    log_info("the dependency is back: lanes go on", {{"worker", parts.spec.name}});
}

void ConsumerLoop::State::refuse(const std::string& why) {
  bool known = false;
  set_pauses([&] {
    known = !refused.empty();
    if (!known) refused = why;
  });
  if (known) return;
  log_error("the claim is refused: this worker stops until an operator has acted and it is started again",
            {{"worker", parts.spec.name}, {"error", why}});
}

// The thread that owns a message's key. A message without the header must be parsed to know.
std::size_t ConsumerLoop::State::thread_of(const Message& message, EnvelopeParser& parser, EventArena& arena) const {
  if (inboxes.size() == 1) return 0;
  std::string_view key = message.header("Cutover-Key");
  if (key.empty()) {
    arena.reset();
    EnvelopeInput input;
    input.data = message.data;
    auto parsed = parser.parse(input, arena);
    key = std::visit([](const auto& p) { return p.key; }, parsed);
    return std::hash<std::string_view>{}(key) % inboxes.size();
  }
  return std::hash<std::string_view>{}(key) % inboxes.size();
}

void ConsumerLoop::State::read(std::stop_token stop) {
  Heartbeat heart = parts.health.add_loop(parts.spec.name + " reader", kLoopStuckAfter);
  EnvelopeParser parser(parts.options.batch.limits);
  EventArena arena;
  std::vector<Message> messages;
  std::vector<std::size_t> fetched(parts.lanes.size()), redelivered(parts.lanes.size());
  std::vector<std::vector<Message>> sorted(inboxes.size());
  while (!stop.stop_requested()) {
    heart.beat();
    messages.clear();
    parts.source.receive(messages, kReceiveMax, parts.clock.monotonic() + kReaderTick, stop);
    if (messages.empty()) continue;
    std::fill(fetched.begin(), fetched.end(), 0);
    std::fill(redelivered.begin(), redelivered.end(), 0);
    for (Message& message : messages) {
      ++fetched[message.lane];
      redelivered[message.lane] += message.deliveries > 1;
      sorted[thread_of(message, parser, arena)].push_back(std::move(message));
    }
    for (std::size_t i = 0; i < inboxes.size(); ++i) {
      if (sorted[i].empty()) continue;
      Inbox& inbox = inboxes[i];
      {
        std::lock_guard lock(inbox.mutex);
        for (Message& message : sorted[i]) inbox.queues[message.lane].push_back(std::move(message));
        inbox.total += sorted[i].size();
      }
      inbox.arrived.notify_one();
      sorted[i].clear();
    }
    for (std::size_t lane = 0; lane < parts.lanes.size(); ++lane) {
      metrics[lane]->fetched.add(static_cast<double>(fetched[lane]));
      metrics[lane]->redelivered.add(static_cast<double>(redelivered[lane]));
    }
  }
}

// The next batch: of the lane whose turn it is, what is here already.
std::optional<std::size_t> ConsumerLoop::State::take(std::size_t thread, LaneChoice& choice, std::vector<Message>& batch) {
  Inbox& inbox = inboxes[thread];
  auto now = parts.clock.monotonic();
  std::vector<std::size_t> waiting;
  std::lock_guard lock(inbox.mutex);
  for (std::size_t i = 0; i < parts.lanes.size(); ++i) {
    std::size_t count = std::min(inbox.queues[i].size(), parts.lanes[i].spec.batch_max);
    waiting.push_back(parts.lanes[i].replay && count > 0 ? replay_cap.available(count, now) : count);
  }
  std::optional<std::size_t> lane = choice.next(waiting, now);
  if (!lane) return lane;
  auto& queue = inbox.queues[*lane];
  std::size_t count = waiting[*lane];
  if (parts.lanes[*lane].replay) replay_cap.take(count, now);
  for (std::size_t i = 0; i < count; ++i) {
    batch.push_back(std::move(queue.front()));
    queue.pop_front();
  }
  inbox.total -= count;
  return lane;
}

void ConsumerLoop::State::work(std::size_t thread, std::stop_token stop) {
  Heartbeat heart = parts.health.add_loop(parts.spec.name + " thread " + std::to_string(thread), kLoopStuckAfter);
  std::unique_ptr<TransactionSource> transactions = parts.transactions(thread);
  std::unique_ptr<Worker> worker = parts.spec.make();
  BatchEngine engine(parts.spec, *worker, parts.source, *transactions, progress, parts.clock, parts.random(),
                     parts.options.batch, {parts.wrote_outgoing});
  LaneChoice choice(ranks_of(parts.lanes));
  Inbox& inbox = inboxes[thread];
  Gauge& in_use = parts.metrics.worker(parts.spec.name).pool_in_use;
  std::vector<Message> batch;
  while (!stop.stop_requested()) {
    heart.beat();
    {
      std::unique_lock lock(inbox.mutex);
      inbox.arrived.wait_for(lock, stop, kReaderTick, [&] { return inbox.total > 0; });
    }
    if (stop.stop_requested()) break;
    batch.clear();
    std::optional<std::size_t> lane = take(thread, choice, batch);
    if (!lane) {
      // Only a capped lane has something: look again when its cap has refilled a little.
      std::unique_lock lock(inbox.mutex);
      if (inbox.total > 0) inbox.arrived.wait_for(lock, stop, std::chrono::milliseconds(10), [] { return false; });
      continue;
    }
    parts.source.release(*lane, batch.size());
    in_use.add(1);
    auto waited = parts.clock.monotonic() - batch.front().received_at;
    metrics[*lane]->wait_seconds.observe(std::chrono::duration<double>(waited).count());
    bool go_on = process(engine, *transactions, heart, *lane, batch, stop);
    in_use.add(-1);
    if (!go_on) break;
  }
  for (Message& message : batch) parts.source.nak(message.reply, std::chrono::milliseconds(0));
}

// Returns false when this thread must end: stop, or a refused claim. What is left in `batch` was not worked on.
bool ConsumerLoop::State::process(BatchEngine& engine, TransactionSource& transactions, Heartbeat& heart, std::size_t lane,
                                  std::vector<Message>& batch, std::stop_token stop) {
  BatchLane batch_lane{&parts.lanes[lane].spec, metrics[lane], parts.lanes[lane].replay, parts.lanes[lane].twin};
  std::map<std::pair<std::string, int>, std::vector<Message>> by_origin;
  if (batch_lane.replay) {
    for (Message& message : batch) {
      Origin origin = origin_of(message);
      by_origin[{origin.stream, origin.incarnation}].push_back(std::move(message));
    }
    batch.clear();
  } else {
    by_origin[{parts.lanes[lane].origin.stream, parts.lanes[lane].origin.incarnation}] = std::move(batch);
    batch.clear();
  }
  bool go_on = true;
  std::chrono::milliseconds pause{0};  // grows while the database answers probes but not the batch
  for (auto& [place, messages] : by_origin) {
    Origin origin{place.first, place.second};
    while (go_on && !messages.empty()) {
      try {
        engine.process(batch_lane, origin, messages);
      } catch (const DependencyDown& e) {
        go_on = gate.wait_until_open(e.what(), [&] { return transactions.probe(); }, [&] { heart.beat(); }, stop) &&
                rest(inboxes.front(), pause, stop);
        pause = std::min(pause * 2 + std::chrono::milliseconds(50), DependencyGate::kProbeMax);
      } catch (const TransactionConflict& e) {
        go_on = rest(inboxes.front(), std::chrono::milliseconds(50), stop);
      } catch (const ClaimRefused& e) {
        if (batch_lane.replay || batch_lane.twin) {
          log_error(batch_lane.twin ? "what shadow sent cannot be claimed: it stays in its stream"
                                    : "a replayed message cannot be claimed: it stays in its stream",
                    {{"worker", parts.spec.name}, {"stream", origin.stream}, {"error", e.what()}});
          for (Message& message : messages) parts.source.nak(message.reply, std::chrono::minutes(1));
          messages.clear();
        } else {
          refuse(e.what());
          go_on = false;
        }
      }
    }
    for (Message& message : messages) batch.push_back(std::move(message));
  }
  return go_on;
}

void ConsumerLoop::State::hand_back() {
  for (Inbox& inbox : inboxes) {
    std::lock_guard lock(inbox.mutex);
    for (std::size_t lane = 0; lane < inbox.queues.size(); ++lane) {
      metrics[lane]->handed_back.add(static_cast<double>(inbox.queues[lane].size()));
      for (Message& message : inbox.queues[lane]) parts.source.nak(message.reply, std::chrono::milliseconds(0));
      inbox.queues[lane].clear();
    }
    inbox.total = 0;
  }
}

ConsumerLoop::ConsumerLoop(Parts parts) : state_(std::make_unique<State>(std::move(parts))) {
  State& s = *state_;
  auto ending = [&s] {
    std::lock_guard lock(s.mutex);
    --s.running;
    s.ended.notify_all();
  };
  s.set_pauses([] {});
  s.running = s.inboxes.size() + 1;
  for (std::size_t i = 0; i < s.inboxes.size(); ++i)
    s.workers.emplace_back([&s, i, ending](std::stop_token stop) {
      s.work(i, stop);
      ending();
    });
  s.reader = std::jthread([&s, ending](std::stop_token stop) {
    s.read(stop);
    ending();
  });
}

ConsumerLoop::~ConsumerLoop() { drain(Deadline::max()); }

bool ConsumerLoop::drain(Deadline deadline) {
  State& s = *state_;
  s.set_pauses([&] { s.draining = true; });
  s.reader.request_stop();
  for (std::jthread& worker : s.workers) worker.request_stop();
  {
    std::unique_lock lock(s.mutex);
    auto all_ended = [&] { return s.running == 0; };
    if (deadline == Deadline::max())
      s.ended.wait(lock, all_ended);
    else if (!s.ended.wait_until(lock, deadline, all_ended))
      return false;
  }
  s.hand_back();
  if (!s.parts.source.flush(std::min(deadline, s.parts.clock.monotonic() + std::chrono::seconds(5))))
    log_warn("the broker did not confirm the last acknowledgements: what they settled comes again, and is found settled",
             {{"worker", s.parts.spec.name}});
  return true;
}

void ConsumerLoop::serve_twins(bool served) {
  State& s = *state_;
  {
    std::lock_guard lock(s.mutex);
    if (s.twins_served == served) return;
  }
  s.set_pauses([&] { s.twins_served = served; });
}

std::string ConsumerLoop::refusal() const {
  std::lock_guard lock(state_->mutex);
  return state_->refused;
}

}  // namespace cutover
