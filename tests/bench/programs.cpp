#include "tests/bench/programs.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tests/bench/measurement.h"

namespace cutover::bench {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr const char* kFilterSubject = "profile.>";
const ConsumerName kConsumer{};
constexpr auto kRunLimit = 10min;
constexpr auto kEndLimit = 60s;
constexpr auto kPoll = 20ms;

// What the runtime wrote in earlier runs; the big table of marks keeps what `fill_ledger` put there.
constexpr const char* kEmptyLedger = R"sql(
TRUNCATE cutover.marks_0, cutover.marks_1, cutover.settlements, cutover.attempts, cutover.started, cutover.outbox;
DELETE FROM cutover.marks WHERE marked_at > now() - interval '1 hour';
)sql";

// How many keys a run has noted as applied.
constexpr const char* kKeys = "SELECT count(*) FROM bench.idempotency";
constexpr const char* kMarks = R"sql(
SELECT (SELECT count(*) FROM cutover.marks_0) + (SELECT count(*) FROM cutover.marks_1) +
       (SELECT count(*) FROM cutover.marks WHERE marked_at > now() - interval '1 hour')
)sql";

constexpr const char* kFillMarks = R"sql(
INSERT INTO cutover.marks (key, stream_id, sequence, marked_at)
SELECT gen_random_uuid(), 1, n, now() - interval '1 day' FROM generate_series(1, {}) n
)sql";

constexpr const char* kSegments = R"sql(
INSERT INTO cutover.ownership (worker_id, epoch, stream_id, from_sequence, mode, percent, actor, reason)
SELECT w.worker_id, o.epoch, s.stream_id, 0, o.mode, o.percent, 'bench', 'bench'
FROM cutover.workers w CROSS JOIN cutover.streams s
CROSS JOIN (VALUES (1, 'monolith', 0), (2, 'shadow', 0), (3, 'canary', 10), (4, 'worker', 0)) o (epoch, mode, percent)
WHERE w.worker = 'bench'
)sql";

// The fence in cutover.claim: the lock that a change of ownership waits for, and the segments.
constexpr const char* kFenceLock =
    "IF pg_advisory_xact_lock_shared(cutover.lock_class_worker(), v_worker_id) IS NULL THEN END IF;";
constexpr const char* kFenceSegments = R"sql(SELECT n.mode, n.from_sequence FROM cutover.ownership n
    WHERE n.worker_id = v_worker_id AND n.stream_id = s.stream_id ORDER BY n.epoch DESC LIMIT 1)sql";

Expected expected_of(const Workload& workload, std::uint64_t seed) {
  EventSequence sequence({.seed = seed, .subjects = workload.subjects, .random_keys = workload.random_keys});
  for (std::uint64_t i = 0; i < workload.events; ++i) sequence.next();
  return sequence.expected();
}

// `events` counts deliveries; the runtime's own count leaves out what its ledger knew already.
Figures combine(const std::vector<json>& lines, double events) {
  Figures figures;
  std::int64_t first = std::numeric_limits<std::int64_t>::max(), last = 0;
  double cpu = 0, transactions = 0;
  for (const json& line : lines) {
    if (line["events"] == 0) continue;  // the other process was quicker
    first = std::min(first, line["first_us"].get<std::int64_t>());
    last = std::max(last, line["last_us"].get<std::int64_t>());
    cpu += line["cpu_s"].get<double>();
    transactions += line["transactions"].get<double>();
    figures.rss_mib = std::max(figures.rss_mib, line["rss_mib"].get<double>());
  }
  figures.events_per_second = events / (static_cast<double>(last - first) / 1e6);
  figures.cpu_ms_per_1000 = cpu * 1e6 / events;
  figures.batch_mean = events / transactions;
  if (const json& latency = lines.front()["latency_ms"]; lines.size() == 1 && !latency.is_null()) {
    figures.p50_ms = latency["p50"].get<double>();
    figures.p99_ms = latency["p99"].get<double>();
  }
  return figures;
}

}  // namespace

Programs::Programs(Site site)
    : site_(std::move(site)),
      broker_(site_.nats),
      database_(site_.postgres),
      seed_(static_cast<std::uint64_t>(wall_us()) / 1'000'000 % 1'000'000) {
  database_.create_job_tables();
}

const std::vector<std::string>& Programs::kinds() {
  static const std::vector<std::string> kinds{"broker",       "database",   "bare_loop",
                                              "go_per_event", "go_batched", "runtime"};
  return kinds;
}

std::vector<std::string> Programs::command(const std::string& kind, const Workload& workload,
                                           std::uint64_t seed) const {
  std::vector<std::string> argv;
  if (kind == "runtime")
    return {site_.programs + "/bench_runtime",
            "--nats",
            site_.nats,
            "--postgres",
            site_.postgres,
            "--latency-skip",
            std::to_string(workload.warm_up)};
  if (kind == "go_per_event" || kind == "go_batched") {
    argv = {site_.programs + "/bench_" + kind};
  } else {
    argv = {site_.programs + "/bench_bare_loop", "--mode", kind, "--seed", std::to_string(seed), "--subjects",
            std::to_string(workload.subjects)};
  }
  for (const std::string& argument :
       {std::string("--nats"), site_.nats, std::string("--postgres"), site_.postgres, std::string("--events"),
        std::to_string(workload.events), std::string("--latency-skip"), std::to_string(workload.warm_up)})
    argv.push_back(argument);
  return argv;
}

std::vector<std::string> Programs::load_command(const Workload& workload, std::uint64_t seed) const {
  std::vector<std::string> argv{site_.programs + "/bench_load",
                                "--nats",
                                site_.nats,
                                "--events",
                                std::to_string(workload.events),
                                "--rate",
                                std::to_string(workload.rate),
                                "--subjects",
                                std::to_string(workload.subjects),
                                "--seed",
                                std::to_string(seed)};
  if (workload.random_keys) argv.push_back("--random-keys");
  return argv;
}

void Programs::reset(const std::string& kind) {
  broker_.empty_stream(kConsumer.stream);
  if (kind != "runtime") broker_.create_consumer(kConsumer, kFilterSubject);
  database_.run(kEmptyLedger);
  database_.empty_job_tables();
}

Figures Programs::run(const std::string& kind, const Workload& workload, int processes) {
  const std::uint64_t seed = ++seed_;
  reset(kind);
  const auto load = [&] {
    if (kind == "database") return;  // makes its rows itself
    ChildProcess source(load_command(workload, seed));
    source.wait(kRunLimit);
  };
  if (workload.rate == 0) load();

  std::vector<std::unique_ptr<ChildProcess>> running;
  for (int i = 0; i < processes; ++i)
    running.push_back(std::make_unique<ChildProcess>(command(kind, workload, seed)));
  if (workload.rate > 0) load();
  // The others end by themselves when they have seen every event.
  if (kind == "runtime") {
    await_settled(running);
    for (const auto& program : running) program->terminate();
  }
  std::vector<json> lines;
  for (const auto& program : running) {
    lines.push_back(json::parse(program->read_line(kRunLimit)));
    program->wait(kEndLimit);
  }
  if (kind != "broker")
    database_.check_applied(expected_of(workload, seed), kind == "runtime" ? kMarks : kKeys);
  return combine(lines, static_cast<double>(workload.events));
}

void Programs::await_settled(const std::vector<std::unique_ptr<ChildProcess>>& running) {
  const auto deadline = std::chrono::steady_clock::now() + kRunLimit;
  for (;;) {
    const std::optional<Backlog> left = broker_.backlog(kConsumer);
    if (left && left->pending == 0 && left->ack_pending == 0) return;
    if (std::chrono::steady_clock::now() > deadline)
      throw std::runtime_error("runtime: the backlog is not settled");
    for (const auto& program : running)
      if (!program->running()) throw std::runtime_error("bench_runtime ended before the backlog was settled");
    std::this_thread::sleep_for(kPoll);
  }
}

void Programs::fill_ledger(std::uint64_t random_keys) {
  database_.run("TRUNCATE cutover.marks");
  database_.run(fmt::format(kFillMarks, random_keys));
  database_.run("VACUUM ANALYZE cutover.marks");
}

void Programs::hand_over() {
  database_.run(kSegments);
}

void Programs::set_fence(bool on) {
  if (on == fenced_claim_.empty()) return;
  if (on) {
    database_.run(fenced_claim_);
    fenced_claim_.clear();
    return;
  }
  fenced_claim_ = database_.alter_function("cutover.claim", kFenceLock, "");
  database_.alter_function("cutover.claim", kFenceSegments, "SELECT 'worker' AS mode, 0 AS from_sequence");
}

}  // namespace cutover::bench
