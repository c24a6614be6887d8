#include "runtime/host/worker_process.h"

#include <cmath>
#include <condition_variable>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "runtime/engine/worker_transaction.h"
#include "runtime/host/connect_options.h"
#include "runtime/host/host.h"
#include "runtime/host/job_context.h"
#include "runtime/host/registration.h"
#include "runtime/host/watch.h"
#include "runtime/observe/log.h"
#include "runtime/policy/schedule.h"
#include "runtime/policy/vectors.h"
#include "runtime/postgres/ledger_upkeep.h"
#include "runtime/postgres/transaction_source.h"

namespace cutover {
namespace {

constexpr std::chrono::milliseconds kUpkeepPause{1'000};
constexpr std::chrono::seconds kCountLettersEvery{15};
constexpr std::chrono::seconds kRecent{10};  // what the heartbeat calls the present latency
constexpr std::chrono::milliseconds kWatchEvery{60'000};
constexpr std::chrono::milliseconds kUpkeepBreath{20};  // between steps while there is more to do
constexpr std::chrono::milliseconds kChoreRestMax{1'000};
constexpr std::chrono::milliseconds kJobRest{1'000};    // after a failure
constexpr std::chrono::minutes kJobSilence{10};         // a job that says nothing for so long hangs
constexpr std::size_t kReplayBatchMax = 32;

// Random numbers for one thread.
Random64 seeded_random() {
  std::random_device device;
  auto engine = std::make_shared<std::mt19937_64>(static_cast<std::uint64_t>(device()) << 32 | device());
  return [engine] { return (*engine)(); };
}

LaneSpec replay_lane(const std::string& worker) {
  LaneSpec lane;
  lane.name = "replay";
  lane.stream = "REPLAY";
  lane.filter_subject = "replay." + worker + ".worker.*";
  lane.priority = 9;
  lane.batch_max = kReplayBatchMax;
  return lane;
}

// Sleeps on a thread of its own; false at stop.
bool sleep_for(std::chrono::milliseconds time, std::stop_token stop) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any().wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

std::string_view name_of(LaneState::Condition condition) {
  switch (condition) {
    case LaneState::Condition::running: return "running";
    case LaneState::Condition::unreachable: return "unreachable";
    case LaneState::Condition::stalled: return "stalled";
    case LaneState::Condition::missing: return "missing";
    case LaneState::Condition::recreated: return "recreated";
  }
  return "unknown";
}

}  // namespace

RelayProcess::RelayProcess(const Settings& settings, const std::string& instance, const Clock& clock, Metrics& metrics,
                           Health& health, bool enabled)
    : settings_(settings),
      clock_(clock),
      metrics_(metrics),
      health_(health),
      enabled_(enabled),
      connection_(nats_options(settings, "cutover relay " + instance)),
      publisher_(connection_),
      store_(postgres_options(settings, "cutover relay " + instance)) {}

RelayProcess::~RelayProcess() { stop(); }

void RelayProcess::start(Deadline deadline) {
  if (!connection_.wait_connected(deadline))
    throw StartError("NATS: cannot connect to " + connection_.server() + ": " + connection_.trouble() +
                     ". Do: check nats.servers and that the server runs");
  if (!enabled_) return;
  RelayOptions options;
  options.batch_max = settings_.outbox.batch_max;
  options.poll_interval = settings_.outbox.poll_interval;
  options.keep = settings_.outbox.keep;
  relay_ = std::make_unique<OutboxRelay>(store_, publisher_, clock_, seeded_random(), metrics_.outbox(), health_, options);
}

void RelayProcess::stop() { relay_.reset(); }

void RelayProcess::wake() {
  if (relay_) relay_->wake();
}

WorkerProcess::WorkerProcess(Parts parts)
    : parts_(parts), connection_(nats_options(parts.settings, "cutover " + parts.spec.name + " " + parts.instance)) {}

WorkerProcess::~WorkerProcess() {
  for (std::jthread& chore : chores_) chore.request_stop();
}

// The creation time of a stream, which tells one life of it from the next.
Instant WorkerProcess::stream_created(const std::string& stream, Deadline deadline) {
  if (!connection_.wait_connected(deadline))
    throw StartError("NATS: cannot connect to " + connection_.server() + ": " + connection_.trouble() +
                     ". Do: check nats.servers and that the server runs");
  NatsPublisher broker(connection_);
  try {
    std::optional<StreamLife> life = broker.stream_life(stream, deadline);
    if (life) return life->created_at;
  } catch (const BrokerError& e) {
    throw StartError(e.what());
  }
  throw StartError("stream " + stream + " does not exist on " + connection_.server() + ". Do: cutover streams apply");
}

void WorkerProcess::start(Deadline deadline) {
  const Settings& settings = parts_.settings;
  std::size_t connections = parts_.spec.concurrency + parts_.spec.chores.size() + 2;
  for (const Job& job : parts_.spec.jobs) connections += job.connections;
  if (connections > settings.postgres.pool_max)
    throw StartError(name() + " needs " + std::to_string(connections) + " database connections (threads, chores, jobs, upkeep, watch), postgres.pool_max is " +
                     std::to_string(settings.postgres.pool_max) + ". Do: raise it, or lower worker." + name() + ".concurrency");
  parts_.metrics.worker(name()).pool_connections.set(static_cast<double>(connections));
  std::map<std::string, Instant> created;
  std::vector<LaneSpec> specs = parts_.spec.lanes;
  specs.push_back(replay_lane(parts_.spec.name));
  const std::size_t live = specs.size();
  for (const LaneSpec& lane : parts_.spec.lanes) specs.push_back(twin_of(lane));
  for (LaneSpec& spec : specs) {
    spec.batch_max = std::min<std::size_t>(spec.batch_max, settings.run.batch_max);
    ConsumerLane& lane = lanes_.emplace_back();
    lane.spec = spec;
    lane.replay = spec.name == "replay";
    lane.twin = lanes_.size() > live;
    if (!created.contains(spec.stream)) created[spec.stream] = stream_created(spec.stream, deadline);
    lane.origin = {spec.stream, lane.replay ? 0 : parts_.registration.incarnation(spec.stream, created[spec.stream])};
  }
  PullOptions pull;
  pull.prefetch_bytes = pull.prefetch_bytes / live * specs.size();  // twins take nothing from the others
  pull.stream_created = created;
  pull.notice = [this](std::size_t lane, const std::string& what) {
    log_warn(what, {{"worker", name()}, {"lane", lanes_[lane].spec.name}});
  };
  source_ = std::make_unique<PullSource>(connection_, parts_.spec.name, specs, pull);
  for (std::size_t twin = live; twin < lanes_.size(); ++twin) source_->pause(twin, true);
  try {
    source_->prepare(deadline);
  } catch (const BrokerError& e) {
    throw StartError(e.what());
  }
  arm_schedules();
  ConsumerOptions options;
  options.batch.retry = {settings.retry.first, settings.retry.factor, static_cast<int>(settings.retry.max)};
  options.batch.limits.message_bytes_max = settings.limits.message_bytes_max;
  options.replay_per_second = static_cast<double>(settings.replay.rate);
  auto transactions = [this](std::size_t thread) -> std::unique_ptr<TransactionSource> {
    std::string label = "cutover " + name() + " " + std::to_string(thread) + " " + parts_.instance;
    return std::make_unique<postgres::PgTransactionSource>(
        postgres_options(parts_.settings, label),
        postgres::Identity{name(), parts_.instance, parts_.build.version, static_cast<int>(thread), !parts_.relay.enabled()});
  };
  loop_ = std::make_unique<ConsumerLoop>(ConsumerLoop::Parts{parts_.spec, lanes_, *source_, transactions, parts_.clock, seeded_random,
                                                             parts_.metrics, parts_.health, [this] { parts_.relay.wake(); }, options});
  for (const Chore& chore : parts_.spec.chores)
    chores_.emplace_back([this, &chore](std::stop_token stop) { run_chore(chore, stop); });
  for (const Job& job : parts_.spec.jobs) chores_.emplace_back([this, &job](std::stop_token stop) { run_job(job, stop); });
  chores_.emplace_back([this](std::stop_token stop) { run_upkeep(stop); });
  chores_.emplace_back([this](std::stop_token stop) { run_watch(stop); });
}

void WorkerProcess::arm_schedules() {
  if (parts_.spec.schedules.empty()) return;
  postgres::PgOutboxStore store(postgres_options(parts_.settings, "cutover schedules " + parts_.instance));
  EventIds ids(parts_.clock, seeded_random());
  for (const Schedule& schedule : parts_.spec.schedules) {
    Outgoing first = schedule.outgoing;
    Instant at = CronTimes(schedule.cron).next_after(parts_.clock.now());
    first.idempotency_key += firing_suffix(at, schedule.daily);
    first.available_at = at;
    first.timer_key = "schedule:" + name() + ":" + schedule.name;
    OutboxRow row = make_outbox_row(nullptr, std::move(first), name(), ids, parts_.clock.now());
    row.schedule = schedule.cron;
    store.arm(row);
  }
}

// A chore's step commits on its own; what it throws is tried again at its next turn. While the lanes have work, a chore that
// has more to do rests three times as long as it worked: it goes behind them.
void WorkerProcess::run_chore(const Chore& chore, std::stop_token stop) {
  postgres::PgTransactionSource transactions(
      postgres_options(parts_.settings, "cutover " + name() + " " + chore.name + " " + parts_.instance),
      postgres::Identity{name(), parts_.instance, parts_.build.version, -1, !parts_.relay.enabled()});
  EventIds ids(parts_.clock, seeded_random());
  Heartbeat heart = parts_.health.add_loop(name() + " " + chore.name, std::chrono::minutes(5));
  const Gauge batches = parts_.metrics.worker(name()).pool_in_use;
  bool more = false;
  std::chrono::milliseconds took{0};
  auto turn = [&] {
    if (!more) return sleep_for(chore.interval, stop);
    return batches.value() == 0 || sleep_for(std::min<std::chrono::milliseconds>(3 * took, kChoreRestMax), stop);
  };
  while (turn()) {
    if (stop.stop_requested()) return;
    heart.beat();
    more = false;
    const auto began = parts_.clock.monotonic();
    try {
      auto batch = transactions.begin();
      if (chore.shadow) batch->use_shadow(true);
      WorkerTransaction tx(*batch, name(), ids, parts_.clock.now());
      more = chore.run(tx);
      batch->commit();
      if (batch->has_outgoing()) parts_.relay.wake();
      took = std::chrono::ceil<std::chrono::milliseconds>(parts_.clock.monotonic() - began);
    } catch (const std::exception& e) {
      more = false;
      log_warn("a chore failed and is tried again", {{"worker", name()}, {"chore", chore.name}, {"error", e.what()}});
    }
  }
}

void WorkerProcess::run_job(const Job& job, std::stop_token stop) {
  HostJobContext context({parts_.settings, name(), job.name, parts_.instance, parts_.build.version, parts_.clock, seeded_random(),
                          parts_.metrics, !parts_.relay.enabled(), [this] { parts_.relay.wake(); }, stop});
  Heartbeat heart = parts_.health.add_loop(name() + " " + job.name, kJobSilence);
  context.on_report([&heart] { heart.beat(); });
  bool more = false;
  std::chrono::milliseconds pause = job.interval;
  while (more || sleep_for(pause, stop)) {
    if (stop.stop_requested()) return;
    heart.beat();
    more = false;
    pause = job.interval;
    try {
      more = job.run(context);
    } catch (const std::exception& e) {
      if (stop.stop_requested()) return;
      pause = std::max<std::chrono::milliseconds>(pause, kJobRest);
      parts_.metrics.job(name(), job.name).failed.add(1);
      log_warn("a job failed and is tried again", {{"worker", name()}, {"job", job.name}, {"error", e.what()}});
    }
  }
}

void WorkerProcess::run_upkeep(std::stop_token stop) {
  postgres::UpkeepOptions options;
  options.dedupe_horizon = parts_.settings.ledger.dedupe_horizon;
  options.settlement_keep = parts_.settings.outbox.keep;
  options.replay_timeout = parts_.settings.replay.timeout;
  postgres::LedgerUpkeep upkeep(postgres_options(parts_.settings, "cutover upkeep " + parts_.instance), options);
  bool more = false;
  std::chrono::steady_clock::time_point next_count{};
  while (sleep_for(more ? kUpkeepBreath : kUpkeepPause, stop)) {
    try {
      more = upkeep.step();
      if (std::chrono::steady_clock::now() >= next_count) {
        next_count = std::chrono::steady_clock::now() + kCountLettersEvery;
        std::vector<OpenLetterGauges::Group> groups;
        for (auto& open : upkeep.open_letters(name())) groups.push_back({open.group, open.kind, open.count});
        parts_.metrics.worker(name()).open_letters.set(std::move(groups));
      }
    } catch (const DependencyDown&) {
      more = false;  // the lanes say so
    } catch (const std::exception& e) {
      more = false;
      log_warn("upkeep of the ledger failed and is tried again", {{"worker", name()}, {"error", e.what()}});
    }
  }
}

// Looks after the worker for a while after its switch; every process of it does, one of them is enough.
void WorkerProcess::run_watch(std::stop_token stop) {
  const auto pause = [&](std::chrono::milliseconds time) { return sleep_for(time, stop); };
  postgres::Connection database(postgres_options(parts_.settings, "cutover watch " + parts_.instance));
  Watch watch(parts_.settings, parts_.spec, database, connection_, "watch of " + parts_.instance);
  std::string reported;
  while (sleep_for(kWatchEvery, stop)) {
    try {
      const Watch::Look look = watch.look(pause);
      if (look.reversed)
        log_error("the watch handed the events back to the monolith", {{"worker", name()}, {"because", look.over}});
      else if (!look.over.empty() && look.over != reported)
        log_warn("the worker does badly after its switch", {{"worker", name()}, {"because", look.over}, {"do", reverse_command(name(), look.over)}});
      reported = look.over;
    } catch (const DependencyDown&) {  // the lanes say so
    } catch (const std::exception& e) {
      log_warn("the watch failed and is tried again", {{"worker", name()}, {"error", e.what()}});
    }
    database.disconnect();  // one look a minute is not worth a connection
  }
}

void WorkerProcess::set_shadow(bool shadow) {
  shadow_ = shadow;
  loop_->serve_twins(shadow);
}

bool WorkerProcess::drain(Deadline deadline) {
  for (std::jthread& chore : chores_) chore.request_stop();
  bool drained = loop_->drain(deadline);
  if (drained) {
    chores_.clear();
    loop_.reset();
    source_.reset();
  }
  return drained;
}

WorkerProcess::Report WorkerProcess::report() {
  Report report;
  if (!connection_.connected()) report.broker_trouble = "NATS: " + connection_.trouble();
  report.refusal = loop_->refusal();
  nlohmann::json detail;
  std::set<std::pair<std::string, int>> idle, busy;
  std::map<std::pair<std::string, int>, std::int64_t> below;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    LaneState state = source_->state(i);
    LaneMetrics& m = parts_.metrics.lane(name(), lanes_[i].spec.name);
    m.pending.set(static_cast<double>(state.pending));
    m.ack_pending.set(static_cast<double>(state.ack_pending));
    bool up = state.condition == LaneState::Condition::running;
    const bool unused = lanes_[i].twin && !shadow_;  // what still lies there has no effect
    m.up.set(up ? 1 : 0);
    if (!up && !unused && report.lane_trouble.empty()) report.lane_trouble = lanes_[i].spec.name + ": " + state.detail;
    detail[lanes_[i].twin ? "twins" : "lanes"][lanes_[i].spec.name] = {{"condition", name_of(state.condition)}, {"detail", state.detail},
                                            {"pending", state.pending}, {"ack_pending", state.ack_pending},
                                            {"stream", lanes_[i].spec.stream}};
    const Histogram& latency = m.publish_to_commit_seconds;
    if (recent_.size() <= i) recent_.emplace_back(0.99, kRecent);
    if (const auto p99 = recent_[i].update(std::chrono::steady_clock::now(), latency.bounds(), latency.counts()))
      detail[lanes_[i].twin ? "twins" : "lanes"][lanes_[i].spec.name]["p99_ms"] = std::round(*p99 * 10'000) / 10;
    const Histogram::Total batches = m.batch_seconds.total();
    report.batches.count += batches.count;
    report.batches.sum += batches.sum;
    if (lanes_[i].replay) continue;
    const std::pair<std::string, int> place{lanes_[i].origin.stream, lanes_[i].origin.incarnation};
    (unused || (up && state.pending == 0) ? idle : busy).insert(place);
    if (unused) continue;
    bool done = up && state.pending == 0 && state.ack_pending == 0;
    std::int64_t first = done ? std::numeric_limits<std::int64_t>::max() : up ? static_cast<std::int64_t>(state.ack_floor) + 1 : 0;
    auto [lowest, is_new] = below.emplace(place, first);
    if (!is_new) lowest->second = std::min(lowest->second, first);
  }
  for (const auto& origin : idle)
    if (!busy.contains(origin)) report.without_backlog.push_back({origin.first, origin.second});
  for (const auto& [place, first] : below) report.settled_below.push_back({{place.first, place.second}, first});
  detail["vectors"] = vectors_hash();
  report.detail = detail.dump();
  return report;
}

}  // namespace cutover
