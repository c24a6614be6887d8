#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/bench/broker.h"
#include "tests/bench/child_process.h"
#include "tests/bench/database.h"
#include "tests/bench/event_sequence.h"

namespace cutover::bench {

// Where the servers and the programs are.
struct Site {
  std::string nats;      // nats://127.0.0.1:4222
  std::string postgres;  // libpq connection string, as keyword=value
  std::string programs;  // folder with bench_load and the measured programs
};

// What one run works on.
struct Workload {
  std::uint64_t events = 50'000;
  std::uint64_t rate = 0;  // events per second while the program runs; 0: all are there before it starts
  bool random_keys = false;
  std::uint32_t subjects = 10'000;
  std::uint64_t warm_up = 0;  // first events that do not count for the latency
};

// The figures of one run; of two processes together where two ran.
struct Figures {
  double events_per_second = 0;
  double cpu_ms_per_1000 = 0;
  double rss_mib = 0;     // peak of the largest process
  double batch_mean = 0;  // deliveries per transaction
  std::optional<double> p50_ms;
  std::optional<double> p99_ms;
};

// Starts measured programs one after another on the same servers, each from the same state, and checks what
// they did.
class Programs {
 public:
  explicit Programs(Site site);

  // One of: broker database bare_loop go_per_event go_batched runtime
  static const std::vector<std::string>& kinds();

  // Empties stream, consumers and tables, loads, runs `processes` of this kind at once, checks the result.
  // Throws std::runtime_error when anything fails, a wrong result included.
  Figures run(const std::string& kind, const Workload& workload, int processes = 1);

  // Adds keys that were applied long ago to the ledger of the runtime; they survive `run`.
  void fill_ledger(std::uint64_t random_keys);

  // Gives the runtime's worker a history of ownership that ends with mode `worker`. It stays.
  void hand_over();
  // Takes lock and segments out of the claim, or puts them back: what is left decides nothing about
  // ownership.
  void set_fence(bool on);

 private:
  std::vector<std::string> command(const std::string& kind, const Workload& workload,
                                   std::uint64_t seed) const;
  std::vector<std::string> load_command(const Workload& workload, std::uint64_t seed) const;
  void reset(const std::string& kind);
  void await_settled(const std::vector<std::unique_ptr<ChildProcess>>& running);

  const Site site_;
  Broker broker_;
  Database database_;
  std::string fenced_claim_;  // the claim as it is installed, while it is replaced
  // Another one for each load, also of earlier drivers: the broker's duplicate window remembers their event
  // ids.
  std::uint64_t seed_;
};

}  // namespace cutover::bench
