#include "tests/bench/programs.h"

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tests/bench/child_process.h"
#include "tests/bench/measurement.h"

namespace cutover::bench {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr const char* kStreamSubject = "profile.>";
const ConsumerName kConsumer{};
constexpr auto kRunLimit = 10min;
constexpr auto kEndLimit = 60s;

Expected expected_of(const Workload& workload, std::uint64_t seed) {
  EventSequence sequence({.seed = seed, .subjects = workload.subjects, .random_keys = workload.random_keys});
  for (std::uint64_t i = 0; i < workload.events; ++i) sequence.next();
  return sequence.expected();
}

Figures combine(const std::vector<json>& lines) {
  Figures figures;
  std::int64_t first = lines.front()["first_us"], last = 0;
  double events = 0, cpu = 0, transactions = 0;
  for (const json& line : lines) {
    first = std::min(first, line["first_us"].get<std::int64_t>());
    last = std::max(last, line["last_us"].get<std::int64_t>());
    events += line["events"].get<double>();
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
  static const std::vector<std::string> kinds{"broker", "database", "bare_loop", "go_per_event",
                                              "go_batched"};
  return kinds;
}

std::vector<std::string> Programs::command(const std::string& kind, const Workload& workload,
                                           std::uint64_t seed) const {
  std::vector<std::string> argv;
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
  broker_.empty_stream(kConsumer.stream, kStreamSubject);
  if (kind != "runtime") broker_.create_consumer(kConsumer, kStreamSubject);
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
  std::vector<json> lines;
  for (const auto& program : running) {
    lines.push_back(json::parse(program->read_line(kRunLimit)));
    program->wait(kEndLimit);
  }
  if (kind != "broker") database_.check_applied(expected_of(workload, seed), kind != "runtime");
  return combine(lines);
}

void Programs::fill_ledger(std::uint64_t random_keys) {
  ledger_keys_ = random_keys;
}

}  // namespace cutover::bench
