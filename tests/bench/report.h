#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "tests/bench/programs.h"

namespace cutover::bench {

struct Spread {
  double median = 0;
  double min = 0;
  double max = 0;
};

// Of at least one value.
Spread spread(std::vector<double> values);

// Everything that one run of the benchmark measured.
struct Results {
  std::map<std::string, std::vector<Figures>>
      backlog;  // by kind: all events are there before the program starts
  std::map<std::string, std::vector<Figures>> steady;  // by kind: 1,000 events a second
  // The runtime only.
  std::vector<Figures> small;          // the backlog again, in turn with the next two
  std::vector<Figures> large;          // a backlog ten times as large
  std::vector<Figures> two_processes;  // the larger one, shared by two processes
  std::vector<Figures> empty_ledger;   // random keys
  std::vector<Figures> full_ledger;    // random keys, on a ledger that is full of others
  std::vector<Figures> bare_small;     // the backlog by bare_loop, in turn with those of the runtime
  std::vector<Figures> bare_large;
  std::vector<Figures> fenced;    // ownership decided by segments, under the lock
  std::vector<Figures> unfenced;  // the same without either
  Workload backlog_workload;
  Workload large_workload;
  std::uint64_t ledger_keys = 0;
};

struct Goal {
  std::string name;
  std::string text;
  double value = 0;
  double limit = 0;
  bool at_least = true;             // else: at most
  std::optional<double> bare = {};  // the same figure of bare_loop: what the machine leaves to reach
  bool met() const { return at_least ? value >= limit : value <= limit; }
};

// Only those whose figures were measured.
std::vector<Goal> goals(const Results& results);

// {"throughput_eps":{NAME:{"median","min","max"}}, "cpu_ms_per_1000":{..}, "rss_mib":{..},
// "latency_ms":{"p50","p99"},
//  "latency_ms_by_program":{NAME:{"p50","p99"}}, "growth":{..}, "goals":{NAME:{"value","limit","met"}}}
nlohmann::ordered_json to_json(const Results& results);

// The same for people.
std::string to_table(const Results& results);

}  // namespace cutover::bench
