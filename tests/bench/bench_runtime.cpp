// The runtime as it is delivered, everything on, with the worker of the benchmark. Runs until SIGTERM, then
// prints what it measured.

#include <cstdio>
#include <exception>
#include <string>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "runtime/host/host.h"
#include "runtime/host/settings.h"
#include "tests/bench/bench_worker.h"
#include "tests/bench/measurement.h"

int main(int argc, char** argv) {
  std::string nats, postgres;
  std::size_t latency_skip = 0;
  CLI::App app{"The runtime with the job of the benchmark"};
  app.add_option("--nats", nats, "Address of the broker")->required();
  app.add_option("--postgres", postgres, "URL of the database")->required();
  app.add_option("--latency-skip", latency_skip, "First events without latency")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    cutover::bench::Measurement measurement("runtime", latency_skip);
    cutover::SettingSources sources;
    sources.flags = {{"nats.servers", nats, "--nats"},
                     {"postgres.url", postgres, "--postgres"},
                     {"log.level", "warn", "always"}};  // three lines less between the figures
    cutover::HostOptions options;
    options.settings = load_settings(sources, {cutover::bench::bench_worker_spec(measurement)}).values;
    options.workers = {"bench"};
    const int status = run_host(options);
    fmt::print("{}\n", measurement.json());
    return status;
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_runtime: {}\n", error.what());
    return 3;
  }
}
