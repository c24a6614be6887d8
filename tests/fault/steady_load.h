#pragma once

#include <atomic>
#include <chrono>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include "fixtures/test_broker.h"

namespace cutover::test {

// An event of `SteadyLoad`, as it stands in the stream.
struct SentEvent {
  std::string key;
  std::int64_t version = 0;
  bool copy = false;  // the producer's duplicate of an event that was sent before, under another event id
  std::chrono::system_clock::time_point
      at;  // when it was handed to the broker, whether that was there or not

  std::string idempotency_key() const { return key + ":" + std::to_string(version); }
};

// Its message. Every seventh version comes without the header Cutover-Key: the subject's id is its key then.
Sending message_of(const SentEvent& sent, const std::string& event_name);

// Publishes events of many subjects at a steady rate, from a thread and a connection of its own. Each
// subject's versions grow by one from 1. A share of the events is published a second time, near or far behind
// the first. While the broker is away it waits, and catches up: nothing is left out, and nothing is stored
// twice under one event id.
class SteadyLoad {
 public:
  struct Plan {
    std::string event_name;
    std::size_t events = 0;  // without the copies
    double per_second = 2'000;
    std::size_t subjects = 4'000;
    double copies = 0.05;
    unsigned seed = 1;
  };
  SteadyLoad(const std::string& nats_url, Plan plan);
  ~SteadyLoad();

  // Messages stored so far, and how many it will be about.
  std::size_t stored() const { return stored_; }
  std::size_t expected() const;
  // Waits for the end; throws what went wrong. Index: sequence in the stream, less one.
  const std::vector<SentEvent>& finish();
  // Events per second, copies among them; of a load that has finished.
  double rate() const { return rate_; }

 private:
  void run(std::stop_token stop);
  bool send(std::vector<SentEvent>& chunk, std::stop_token stop);

  Plan plan_;
  TestBroker broker_;
  std::vector<SentEvent> sent_;  // of the thread until it has ended
  std::exception_ptr failure_;
  double rate_ = 0;
  std::atomic<std::size_t> stored_{0};
  std::jthread thread_;
};

}  // namespace cutover::test
