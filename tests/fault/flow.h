#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fixtures/private_servers.h"
#include "fixtures/program.h"
#include "fixtures/test_broker.h"
#include "fixtures/test_database.h"

namespace cutover::test {

// Events that flow from stream FLOW through worker processes into table `effects` and, by the outbox, into stream OUT; on
// servers of the test's own, so that it can stop them. Each event leaves one row and one outgoing event.
class Flow {
 public:
  struct Options {
    std::vector<std::string> lanes = {"main,FLOW,flow.>,5,512,2000"};  // as test_worker takes them
    int concurrency = 2;
    std::vector<std::pair<std::string, std::string>> settings = {};  // CUTOVER_* variables for the workers
  };
  Flow();
  explicit Flow(Options options);

  // Events flow.thing_done with keys 0..unique-1, of which every `1 / duplicate_share`th is published twice, with another
  // event id and at another place. Returns how many were published.
  std::size_t publish(std::size_t unique, double duplicate_share, unsigned seed);
  // One event of that form, with its own payload.
  void publish_one(const std::string& key, const std::string& payload, const std::string& subject = "flow.thing_done");

  // Starts a worker process; returns its number.
  std::size_t start_worker();
  Program& worker(std::size_t number) { return *workers_.at(number); }
  // SIGKILL, and another one in its place.
  void replace_worker(std::size_t number);
  // Says which worker ended by itself; empty while all run.
  std::string ended_workers();
  // The end of a worker's log.
  std::string log_tail(std::size_t number);

  std::int64_t effects();
  // Everything is acknowledged, and nothing waits in the outbox.
  bool quiet();
  // Idempotency keys and message ids of all messages in OUT.
  struct Out {
    std::vector<std::string> keys, ids;
  };
  Out read_out();

  PrivateServers servers;
  TestDatabase db;
  TestBroker broker;

 private:
  std::string log_file(std::size_t number) const;
  void launch(std::size_t number);

  Options options_;
  std::vector<std::unique_ptr<Program>> workers_;
};

// CUTOVER_TEST_LONG is set: the long forms run.
bool long_form();

}  // namespace cutover::test
