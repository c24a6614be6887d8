#include "runtime/host/host.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <thread>

#include "runtime/host/ops_http.h"
#include "runtime/host/registration.h"
#include "runtime/host/worker_process.h"
#include "runtime/observe/health.h"
#include "runtime/observe/log.h"

namespace cutover {
namespace {

std::string instance_name() {
  char host[256] = "unknown";
  ::gethostname(host, sizeof host - 1);
  std::random_device device;
  return fmt::format("{}-{}-{:08x}", host, ::getpid(), device());
}

MetricBounds bounds_of(const HostOptions& options) {
  MetricBounds bounds;
  for (const std::string& name : options.workers) {
    auto& worker = bounds.workers.emplace_back();
    worker.worker = name;
    for (const LaneSpec& lane : options.settings.worker(name).lanes) {
      worker.lanes.push_back(lane.name);
      worker.lanes.push_back(twin_of(lane).name);
    }
    worker.lanes.push_back("replay");
    for (const Job& job : options.settings.worker(name).jobs) worker.jobs.push_back(job.name);
  }
  return bounds;
}

LogFormat log_format(const std::string& setting) {
  if (setting == "json") return LogFormat::json;
  return setting == "text" ? LogFormat::text : log_format_for_stderr();
}

// Waits for SIGTERM or SIGINT, at most `time`; 0 when none came.
int wait_signal(const sigset_t& signals, std::chrono::milliseconds time) {
  timespec limit{time.count() / 1000, time.count() % 1000 * 1'000'000};
  int signal = ::sigtimedwait(&signals, nullptr, &limit);
  return signal < 0 ? 0 : signal;
}

}  // namespace

int run_host(const HostOptions& options) {
  // Every thread inherits the mask, so that signals reach only the wait below.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  SystemClock clock;
  const Settings& settings = options.settings;
  Logger logger(log_format(settings.log.format), parse_log_level(settings.log.level).value_or(LogLevel::info), clock);
  ProcessLogger installed(logger);
  Health health(clock);
  Metrics metrics(bounds_of(options), options.build);
  const std::string instance = instance_name();
  health.add_check("postgres", std::chrono::seconds(60));
  health.add_check("nats", std::chrono::seconds(60));
  health.add_check("schema", std::chrono::seconds(60));
  health.add_check("topology", std::chrono::seconds(60));
  health.add_check("ownership", std::chrono::seconds(60));

  Registration registration(settings, instance, options.build, options.workers, health);
  registration.start(clock.monotonic() + options.start_timeout);
  RelayProcess relay(settings, instance, clock, metrics, health, options.relay);
  relay.start(clock.monotonic() + options.start_timeout);
  std::vector<std::unique_ptr<WorkerProcess>> workers;
  for (const std::string& name : options.workers) {
    WorkerProcess::Parts parts{settings, settings.worker(name), instance, options.build, clock, metrics, health, relay,
                               registration};
    workers.push_back(std::make_unique<WorkerProcess>(parts));
    workers.back()->start(clock.monotonic() + options.start_timeout);
  }
  OpsHttp http(health, metrics, settings.ops.bind, static_cast<int>(settings.ops.port));
  log_info("started", {{"instance", instance}, {"build", options.build.version}, {"workers", fmt::format("{}", fmt::join(options.workers, ","))},
                       {"relay", options.relay}, {"ops_port", http.port()}});

  int signal = 0;
  while (signal == 0) {
    registration.beat(workers);
    signal = wait_signal(signals, std::chrono::milliseconds(1'000));
  }
  log_info("draining", {{"signal", signal == SIGTERM ? "SIGTERM" : "SIGINT"}});
  health.set_draining();
  // A second signal while draining ends the process at once: redelivery is safe.
  std::jthread impatient([&](std::stop_token stop) {
    while (!stop.stop_requested())
      if (wait_signal(signals, std::chrono::milliseconds(100)) != 0) std::_Exit(130);
  });
  auto deadline = clock.monotonic() + settings.run.drain_timeout;
  for (auto& worker : workers) {
    if (worker->drain(deadline)) continue;
    log_error("the drain limit passed: batches that still run are redelivered", {{"worker", worker->name()}});
    std::_Exit(3);
  }
  workers.clear();
  relay.stop();
  registration.stop();
  log_info("stopped");
  return 0;
}

}  // namespace cutover
