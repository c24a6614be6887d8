#include "runtime/observe/metrics.h"

#include <algorithm>
#include <map>
#include <sstream>
#include <utility>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace cutover {
namespace {

constexpr const char* kOther = "other";

constexpr double kBatchEvents[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048};
constexpr double kSeconds[] = {0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1,
                               0.2,    0.5,   1,     2,     5,     10,   30,   120,  600};

std::size_t bucket_of(std::span<const double> bounds, double value) {
  return static_cast<std::size_t>(std::lower_bound(bounds.begin(), bounds.end(), value) - bounds.begin());
}

// Makes the series of one label set. Asking again for a family of the same name and help gives the same
// family.
class Series {
 public:
  Series(prometheus::Registry& registry, prometheus::Labels labels)
      : registry_(registry), labels_(std::move(labels)) {}

  Counter counter(const char* name, const char* help, const prometheus::Labels& more = {}) const {
    prometheus::Labels labels = labels_;
    labels.insert(more.begin(), more.end());
    return Counter(prometheus::BuildCounter().Name(name).Help(help).Register(registry_).Add(labels));
  }
  Gauge gauge(const char* name, const char* help, const prometheus::Labels& more = {}) const {
    prometheus::Labels labels = labels_;
    labels.insert(more.begin(), more.end());
    return Gauge(gauge_family(name, help).Add(labels));
  }
  prometheus::Family<prometheus::Gauge>& gauge_family(const char* name, const char* help) const {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry_);
  }
  Histogram histogram(const char* name, const char* help, std::span<const double> bounds) const {
    return Histogram(prometheus::BuildHistogram().Name(name).Help(help).Register(registry_).Add(
                         labels_, prometheus::Histogram::BucketBoundaries(bounds.begin(), bounds.end())),
                     bounds);
  }

 private:
  prometheus::Registry& registry_;
  prometheus::Labels labels_;
};

DeadLetterCounters make_dead_lettered(const Series& s) {
  std::vector<Counter> by_kind;
  for (const std::string_view kind : DeadLetterCounters::kKinds)
    by_kind.push_back(s.counter("cutover_events_dead_lettered_total", "Events given up on, by failure kind",
                                {{"kind", std::string(kind)}}));
  return DeadLetterCounters(std::move(by_kind));
}

LaneMetrics make_lane(const Series& s) {
  return LaneMetrics{
      .fetched = s.counter("cutover_events_fetched_total", "Deliveries taken from the broker"),
      .redelivered =
          s.counter("cutover_events_redelivered_total", "Deliveries that were not the first of their event"),
      .applied = s.counter("cutover_events_applied_total", "Events whose work committed"),
      .duplicates =
          s.counter("cutover_events_duplicate_total", "Events whose key or place was settled before"),
      .stale =
          s.counter("cutover_events_stale_total", "Deliveries dropped unworked because ack_wait ran out"),
      .not_owned = s.counter("cutover_events_not_owned_total", "Events that the other side owns"),
      .not_addressed =
          s.counter("cutover_events_not_addressed_total", "Events of a name that the worker does not list"),
      .retried =
          s.counter("cutover_events_retried_total", "Events given back with a delay; each is one attempt"),
      .deferred =
          s.counter("cutover_events_deferred_total", "Events given back until their predecessor is applied"),
      .handed_back = s.counter("cutover_events_handed_back_total", "Unstarted events given back at shutdown"),
      .reused_places =
          s.counter("cutover_events_reused_place_total", "Settled sequences that came with another event id"),
      .rolled_back = s.counter("cutover_batches_rolled_back_total", "Batch transactions that rolled back"),
      .dead_lettered = make_dead_lettered(s),
      .batch_events = s.histogram("cutover_batch_events", "Events in a batch", kBatchEvents),
      .batch_seconds = s.histogram("cutover_batch_seconds", "Begin to commit of a batch", kSeconds),
      .publish_to_commit_seconds = s.histogram("cutover_publish_to_commit_seconds",
                                               "Stored by the broker to committed by the worker", kSeconds),
      .wait_seconds = s.histogram("cutover_lane_wait_seconds",
                                  "Received to begin of its batch, the longest of each batch", kSeconds),
      .pending =
          s.gauge("cutover_lane_pending", "Events of the lane that the broker has not delivered: the lag"),
      .ack_pending =
          s.gauge("cutover_lane_ack_pending", "Events delivered and not acked, as the broker counts"),
      .up = s.gauge("cutover_lane_up", "1 while the consumer of the lane runs"),
  };
}

OpenLetterGauges make_open_letters(const Series& s, const std::string& worker) {
  std::vector<Gauge> by_kind;
  for (const std::string_view kind : DeadLetterCounters::kKinds)
    by_kind.push_back(s.gauge("cutover_dead_letters_open", "Dead letters that wait for an operator or a replay, by failure kind",
                              {{"kind", std::string(kind)}}));
  constexpr const char* kGroup = "cutover_dead_letters_group_open";
  constexpr const char* kHelp = "The same, of the ten biggest groups as `cutover dlq groups` names them";
  return OpenLetterGauges(std::move(by_kind), s.gauge(kGroup, kHelp, {{"group", kOther}}), s.gauge_family(kGroup, kHelp), worker);
}

WorkerMetrics make_worker(const Series& s, const std::string& worker) {
  return WorkerMetrics{
      .pool_connections = s.gauge("cutover_pool_connections", "PostgreSQL connections that the worker holds"),
      .pool_in_use = s.gauge("cutover_pool_in_use", "PostgreSQL connections on which a batch is worked on"),
      .paused = s.gauge("cutover_worker_paused", "1 while the worker waits for a dependency"),
      .open_letters = make_open_letters(s, worker),
  };
}

JobMetrics make_job(const Series& s) {
  return JobMetrics{
      .phase = s.gauge("cutover_job_phase", "Phase that a job of minutes is in, from 1; 0: nothing to do"),
      .done = s.gauge("cutover_job_done", "What the job has done of its phase"),
      .total = s.gauge("cutover_job_total", "What the phase has in all; 0: not known"),
      .eta_seconds = s.gauge("cutover_job_phase_eta_seconds", "Expected time to the end of the phase; -1: not known"),
      .failed = s.counter("cutover_job_failed_total", "Turns of the job that threw"),
      .seconds = s.histogram("cutover_job_phase_seconds", "Time that a phase took", kSeconds),
  };
}

OutboxMetrics make_outbox(const Series& s) {
  return OutboxMetrics{
      .depth = s.gauge("cutover_outbox_depth", "Outbox rows that are ready to leave"),
      .oldest_seconds =
          s.gauge("cutover_outbox_oldest_seconds", "Age of the oldest row that is ready to leave"),
      .timers = s.gauge("cutover_outbox_timers", "Outbox rows with a time in the future"),
      .published = s.counter("cutover_outbox_published_total", "Rows that the broker acked"),
      .duplicates =
          s.counter("cutover_outbox_duplicate_total", "Rows whose message id the broker had already"),
      .republished =
          s.counter("cutover_outbox_republished_total", "Rows published again after the broker lost them"),
      .failed = s.counter("cutover_outbox_failed_total", "Publishes without an ack"),
      .halted_keys = s.gauge("cutover_outbox_halted_keys", "Keys that wait behind a failed publish"),
      .publish_seconds =
          s.histogram("cutover_outbox_publish_seconds", "Claim to last ack of a round", kSeconds),
  };
}

using LaneKey = std::pair<std::string, std::string>;

template <typename Map>
typename Map::mapped_type& at_or_other(Map& map, const typename Map::key_type& key,
                                       const typename Map::key_type& other) {
  const auto found = map.find(key);
  return found != map.end() ? found->second : map.at(other);
}

}  // namespace

void Counter::add(double amount) noexcept {
  series_->Increment(amount);
}
double Counter::value() const noexcept {
  return series_->Value();
}

void Gauge::set(double value) noexcept {
  series_->Set(value);
}
void Gauge::add(double amount) noexcept {
  series_->Increment(amount);
}
double Gauge::value() const noexcept {
  return series_->Value();
}

void Histogram::observe(double value) {
  series_->Observe(value);
}

std::vector<std::uint64_t> Histogram::counts() const {
  std::vector<std::uint64_t> counts;
  std::uint64_t below = 0;
  for (const auto& bucket : series_->Collect().histogram.bucket) {
    counts.push_back(bucket.cumulative_count - below);
    below = bucket.cumulative_count;
  }
  return counts;
}

Histogram::Total Histogram::total() const {
  const auto values = series_->Collect().histogram;
  return {values.sample_count, values.sample_sum};
}

void Histogram::observe_all(std::span<const double> values) {
  std::vector<double> counts(bounds_.size() + 1, 0.0);
  double sum = 0;
  for (const double value : values) {
    ++counts[bucket_of(bounds_, value)];
    sum += value;
  }
  series_->ObserveMultiple(counts, sum);
}

namespace {
std::size_t kind_index(std::string_view kind) {
  constexpr auto& kinds = DeadLetterCounters::kKinds;
  const auto found = std::find(kinds.begin(), kinds.end(), kind);
  return static_cast<std::size_t>(std::min(found, kinds.end() - 1) - kinds.begin());
}
}  // namespace

void DeadLetterCounters::add(std::string_view kind, double amount) noexcept {
  by_kind_[kind_index(kind)].add(amount);
}
double DeadLetterCounters::value(std::string_view kind) const noexcept {
  return by_kind_[kind_index(kind)].value();
}

struct OpenLetterGauges::State {
  std::vector<Gauge> by_kind;
  Gauge other_groups;
  prometheus::Family<prometheus::Gauge>& family;
  std::string worker;
  std::map<std::string, prometheus::Gauge*> groups{};
};

OpenLetterGauges::OpenLetterGauges(std::vector<Gauge> by_kind, Gauge other_groups, prometheus::Family<prometheus::Gauge>& groups,
                                   std::string worker)
    : state_(new State{std::move(by_kind), other_groups, groups, std::move(worker)}) {}
OpenLetterGauges::~OpenLetterGauges() = default;
OpenLetterGauges::OpenLetterGauges(OpenLetterGauges&&) noexcept = default;

void OpenLetterGauges::set(std::vector<Group> groups) {
  std::sort(groups.begin(), groups.end(), [](const Group& a, const Group& b) { return a.count != b.count ? a.count > b.count : a.id < b.id; });
  std::array<double, DeadLetterCounters::kKinds.size()> kinds{};
  double others = 0;
  std::map<std::string, prometheus::Gauge*> present;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    kinds[kind_index(groups[i].kind)] += static_cast<double>(groups[i].count);
    if (i >= kGroupsMax) {
      others += static_cast<double>(groups[i].count);
      continue;
    }
    const auto known = state_->groups.find(groups[i].id);
    prometheus::Gauge* series =
        known != state_->groups.end() ? known->second : &state_->family.Add({{"worker", state_->worker}, {"group", groups[i].id}});
    series->Set(static_cast<double>(groups[i].count));
    present[groups[i].id] = series;
  }
  for (const auto& [id, series] : state_->groups)
    if (!present.contains(id)) state_->family.Remove(series);
  state_->groups = std::move(present);
  state_->other_groups.set(others);
  for (std::size_t i = 0; i < kinds.size(); ++i) state_->by_kind[i].set(kinds[i]);
}

struct Metrics::State {
  State(const MetricBounds& bounds, const BuildInfo& build) : outbox(make_outbox({registry, {}})) {
    for (const auto& [worker, worker_lanes, worker_jobs] : bounds.workers) {
      for (const std::string& lane : worker_lanes) add_lane(worker, lane);
      add_lane(worker, kOther);
      workers.emplace(worker, make_worker({registry, {{"worker", worker}}}, worker));
      for (const std::string& job : worker_jobs) add_job(worker, job);
    }
    add_job(kOther, kOther);
    add_lane(kOther, kOther);
    workers.emplace(kOther, make_worker({registry, {{"worker", kOther}}}, kOther));
    Series(registry, {{"version", build.version}, {"revision", build.revision}})
        .gauge("cutover_build_info", "The running build; always 1")
        .set(1);
  }

  void add_lane(const std::string& worker, const std::string& lane) {
    lanes.emplace(LaneKey(worker, lane), make_lane({registry, {{"worker", worker}, {"lane", lane}}}));
  }

  void add_job(const std::string& worker, const std::string& job) {
    jobs.emplace(LaneKey(worker, job), make_job({registry, {{"worker", worker}, {"job", job}}}));
  }

  prometheus::Registry registry{prometheus::Registry::InsertBehavior::Merge};
  std::map<LaneKey, LaneMetrics> lanes;
  std::map<std::string, WorkerMetrics> workers;
  std::map<LaneKey, JobMetrics> jobs;
  OutboxMetrics outbox;
};

Metrics::Metrics(const MetricBounds& bounds, const BuildInfo& build)
    : state_(std::make_unique<State>(bounds, build)) {}
Metrics::~Metrics() = default;

LaneMetrics& Metrics::lane(std::string_view worker, std::string_view lane) {
  const std::string known(state_->workers.contains(std::string(worker)) ? worker : kOther);
  return at_or_other(state_->lanes, LaneKey(known, lane), LaneKey(known, kOther));
}
WorkerMetrics& Metrics::worker(std::string_view worker) {
  return at_or_other(state_->workers, std::string(worker), kOther);
}
JobMetrics& Metrics::job(std::string_view worker, std::string_view job) {
  return at_or_other(state_->jobs, LaneKey(worker, job), LaneKey(kOther, kOther));
}
OutboxMetrics& Metrics::outbox() {
  return state_->outbox;
}

std::string Metrics::text() const {
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, state_->registry.Collect());
  return std::move(out).str();
}

}  // namespace cutover
