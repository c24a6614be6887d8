// The bound that the runtime is measured against: fetch, one statement per batch, ack, and nothing else. A
// reader parses and hands each event to the lane of its subject; each lane has a PostgreSQL connection of its
// own.

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <simdjson.h>
#include <CLI/CLI.hpp>

#include "tests/bench/broker.h"
#include "tests/bench/event_sequence.h"
#include "tests/bench/job_statement.h"
#include "tests/bench/measurement.h"

namespace {

using namespace cutover::bench;

struct Options {
  std::string mode = "bare_loop";
  std::string nats = "nats://127.0.0.1:4222";
  std::string postgres = "dbname=postgres";
  ConsumerName consumer;
  std::uint64_t events = 50'000;
  std::size_t batch = 256;
  std::size_t depth = 4;
  std::size_t lanes = 2;
  std::size_t latency_skip = 0;
  SequenceOptions sequence;
};

// How long a run may go without a single message before it counts as stuck.
constexpr auto kStuck = std::chrono::seconds(30);
// The reader hands over what it has after so many events, or when nothing more is waiting.
constexpr std::size_t kHandOver = 64;

struct Work {
  MessagePtr message;  // null when the row was generated
  std::string key;
  std::string subject_id;
  std::int64_t version = 0;
  std::int64_t score = 0;
  std::int64_t published_us = 0;
};

// What waits for one lane.
class LaneQueue {
 public:
  void push(std::vector<Work>& staged) {
    if (staged.empty()) return;
    {
      const std::lock_guard lock(mutex_);
      for (Work& work : staged) waiting_.push_back(std::move(work));
    }
    staged.clear();
    ready_.notify_one();
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    ready_.notify_one();
  }
  // Takes up to `max` that are here already; waits for the first. False once closed and empty.
  bool take(std::vector<Work>& batch, std::size_t max) {
    batch.clear();
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [this] { return closed_ || !waiting_.empty(); });
    while (!waiting_.empty() && batch.size() < max) {
      batch.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
    return !batch.empty();
  }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Work> waiting_;
  bool closed_ = false;
};

class Parser {
 public:
  Work parse(MessagePtr message) {
    buffer_.assign(natsMsg_GetData(message.get()),
                   static_cast<std::size_t>(natsMsg_GetDataLength(message.get())));
    buffer_.reserve(buffer_.size() + simdjson::SIMDJSON_PADDING);
    Work work;
    simdjson::ondemand::document event = parser_.iterate(buffer_);
    simdjson::ondemand::object subject = event["subject"];
    work.subject_id = std::string_view(subject["subject_id"]);
    work.version = subject["version"];
    work.key = std::string_view(event["idempotency_key"]);
    simdjson::ondemand::object payload = event["payload"];
    work.score = payload["score"];
    work.published_us = payload["published_us"];
    work.message = std::move(message);
    return work;
  }

 private:
  simdjson::ondemand::parser parser_;
  std::string buffer_;
};

// A thread per lane that applies what is queued. An error of a lane ends the process: the run is worthless.
class Lanes {
 public:
  Lanes(const Options& options, Measurement& measurement, std::function<void(const MessagePtr&)> settled)
      : options_(options), measurement_(measurement), settled_(std::move(settled)), queues_(options.lanes) {
    for (std::size_t i = 0; i < options.lanes; ++i)
      statements_.push_back(std::make_unique<JobStatement>(options.postgres, "bare-loop"));
    for (std::size_t i = 0; i < options.lanes; ++i) threads_.emplace_back([this, i] { run(i); });
  }
  ~Lanes() {
    for (LaneQueue& queue : queues_) queue.close();
  }

  std::size_t lane_of(std::string_view subject_id) const {
    return std::hash<std::string_view>{}(subject_id) % queues_.size();
  }
  LaneQueue& queue(std::size_t lane) { return queues_[lane]; }
  void finish() {
    for (LaneQueue& queue : queues_) queue.close();
    threads_.clear();
  }

 private:
  void run(std::size_t lane) try {
    std::vector<Work> batch;
    std::vector<JobRow> rows;
    std::vector<std::int64_t> published;
    while (queues_[lane].take(batch, options_.batch)) {
      rows.clear();
      published.clear();
      for (const Work& work : batch) {
        rows.push_back({work.key, work.subject_id, work.version, work.score});
        if (work.published_us > 0) published.push_back(work.published_us);
      }
      statements_[lane]->apply(rows);
      measurement_.committed(batch.size(), published);
      for (const Work& work : batch)
        if (work.message) settled_(work.message);
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "bare_loop: lane {}: {}\n", lane, error.what());
    std::_Exit(3);
  }

  const Options& options_;
  Measurement& measurement_;
  const std::function<void(const MessagePtr&)> settled_;
  std::vector<LaneQueue> queues_;
  std::vector<std::unique_ptr<JobStatement>> statements_;
  std::vector<std::jthread> threads_;
};

MessagePtr next_or_throw(OverlappedPulls& pulls) {
  MessagePtr message = pulls.next(std::chrono::duration_cast<std::chrono::milliseconds>(kStuck));
  if (!message) throw std::runtime_error("no message for 30 s; is the stream loaded?");
  return message;
}

void run_bare_loop(const Options& options, Measurement& measurement) {
  Broker broker(options.nats);
  OverlappedPulls pulls(broker, options.consumer, options.batch, options.depth);
  Lanes lanes(options, measurement, [&](const MessagePtr& message) { pulls.settled(message); });
  Parser parser;
  std::vector<std::vector<Work>> staged(options.lanes);
  std::size_t staged_events = 0;
  const auto hand_over = [&] {
    for (std::size_t i = 0; i < staged.size(); ++i) lanes.queue(i).push(staged[i]);
    staged_events = 0;
  };
  for (std::uint64_t read = 0; read < options.events; ++read) {
    MessagePtr message = pulls.next(std::chrono::milliseconds(0));
    if (!message) {
      hand_over();
      message = next_or_throw(pulls);
    }
    measurement.fetched();
    Work work = parser.parse(std::move(message));
    staged[lanes.lane_of(work.subject_id)].push_back(std::move(work));
    if (++staged_events == kHandOver) hand_over();
  }
  hand_over();
  lanes.finish();
  broker.flush();
}

void run_broker(const Options& options, Measurement& measurement) {
  Broker broker(options.nats);
  OverlappedPulls pulls(broker, options.consumer, options.batch, options.depth);
  for (std::uint64_t read = 1; read <= options.events; ++read) {
    const MessagePtr message = next_or_throw(pulls);
    measurement.fetched();
    pulls.settled(message);
    if (read % options.batch != 0 && read != options.events) continue;
    if (read == options.events) broker.flush();
    measurement.committed((read - 1) % options.batch + 1, {});
  }
}

void run_database(const Options& options, Measurement& measurement) {
  EventSequence sequence(options.sequence);
  std::vector<std::vector<Work>> generated(options.lanes);
  {
    Lanes lanes(options, measurement, {});
    for (std::uint64_t i = 0; i < options.events; ++i) {
      GeneratedEvent event = sequence.next();
      const std::size_t lane = lanes.lane_of(event.subject_id);
      generated[lane].push_back({.message = nullptr,
                                 .key = std::move(event.idempotency_key),
                                 .subject_id = std::move(event.subject_id),
                                 .version = event.version,
                                 .score = event.score});
    }
    measurement.fetched();
    for (std::size_t i = 0; i < options.lanes; ++i) lanes.queue(i).push(generated[i]);
    lanes.finish();
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"The bare loop that the runtime is compared with, and its two halves alone"};
  app.add_option("--mode", options.mode,
                 "bare_loop, broker (fetch and ack only) or database (generated rows)")
      ->capture_default_str()
      ->check(CLI::IsMember({"bare_loop", "broker", "database"}));
  app.add_option("--nats", options.nats, "Address of the broker")->capture_default_str();
  app.add_option("--postgres", options.postgres, "libpq connection string")->capture_default_str();
  app.add_option("--stream", options.consumer.stream)->capture_default_str();
  app.add_option("--durable", options.consumer.durable)->capture_default_str();
  app.add_option("--events", options.events, "Ends after so many deliveries")->capture_default_str();
  app.add_option("--batch", options.batch, "Most events of a transaction")->capture_default_str();
  app.add_option("--depth", options.depth, "Overlapping pull requests")->capture_default_str();
  app.add_option("--lanes", options.lanes, "Threads, each with a connection")->capture_default_str();
  app.add_option("--latency-skip", options.latency_skip, "First events without latency")
      ->capture_default_str();
  app.add_option("--subjects", options.sequence.subjects, "database: distinct subjects")
      ->capture_default_str();
  app.add_option("--seed", options.sequence.seed, "database: of the generated rows")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    Measurement measurement(options.mode, options.latency_skip);
    if (options.mode == "broker")
      run_broker(options, measurement);
    else if (options.mode == "database")
      run_database(options, measurement);
    else
      run_bare_loop(options, measurement);
    fmt::print("{}\n", measurement.json());
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "bare_loop: {}\n", error.what());
    return 3;
  }
}
