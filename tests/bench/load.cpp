// Event source of the benchmark: publishes a deterministic sequence of events at full speed or at a steady
// rate, and prints what the database must hold afterwards.

#include <chrono>
#include <cstdio>
#include <exception>
#include <thread>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "tests/bench/broker.h"
#include "tests/bench/event_sequence.h"
#include "tests/bench/measurement.h"

namespace {

using namespace cutover::bench;

struct Options {
  std::string nats = "nats://127.0.0.1:4222";
  std::string event_name = "profile.updated";
  std::uint64_t events = 50'000;
  std::uint64_t rate = 0;
  SequenceOptions sequence;
};

void publish_all(const Options& options) {
  using Clock = std::chrono::steady_clock;
  Broker broker(options.nats, options.rate > 0);
  EventSequence sequence(options.sequence);
  const Clock::time_point start = Clock::now();
  for (std::uint64_t i = 0; i < options.events; ++i) {
    const GeneratedEvent event = sequence.next();
    if (options.rate > 0)
      std::this_thread::sleep_until(start + std::chrono::nanoseconds(i * 1'000'000'000 / options.rate));
    broker.publish(options.event_name, event.event_id, event.subject_id,
                   envelope(event, options.event_name, wall_us()));
  }
  broker.finish_publishing(std::chrono::minutes(2));
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const Expected expected = sequence.expected();
  fmt::print(R"({{"kind":"load","events":{},"seconds":{:.3f},"keys":{},"subjects":{},"version_sum":{}}})"
             "\n",
             options.events, seconds, expected.keys, expected.subjects, expected.version_sum);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Publishes the events of the benchmark"};
  app.add_option("--nats", options.nats, "Address of the broker")->capture_default_str();
  app.add_option("--event-name", options.event_name, "Event name and NATS subject")->capture_default_str();
  app.add_option("--events", options.events, "How many")->capture_default_str();
  app.add_option("--rate", options.rate, "Events per second; 0: as fast as it goes")->capture_default_str();
  app.add_option("--subjects", options.sequence.subjects, "Distinct subjects")
      ->capture_default_str()
      ->check(CLI::Range(1, 10'000'000));
  app.add_option("--duplicates", options.sequence.duplicate_percent, "Percent of repeated idempotency keys")
      ->capture_default_str()
      ->check(CLI::Range(0, 100));
  app.add_flag("--random-keys", options.sequence.random_keys, "UUIDs as idempotency keys, not growing ones");
  app.add_option("--seed", options.sequence.seed, "Another seed gives other event ids")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    publish_all(options);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "load: {}\n", error.what());
    return 3;
  }
}
