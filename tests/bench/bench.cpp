// Driver of the benchmark: runs every measured program in turn on servers that are already there, and prints
// the figures beside the goals. `scripts/bench` starts the servers and calls this.

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "tests/bench/programs.h"
#include "tests/bench/report.h"

namespace {

using namespace cutover::bench;

struct Options {
  Site site;
  bool json = false;
  bool quick = false;
  int runs = 3;
  std::uint64_t events = 50'000;
  std::vector<std::string> kinds = Programs::kinds();
  std::vector<std::string> parts = {"backlog", "steady", "growth", "fence"};
};

bool chosen(const std::vector<std::string>& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

class Session {
 public:
  explicit Session(const Options& options) : options_(options), programs_(options.site) {
    results_.backlog_workload = {.events = options.events};
    results_.large_workload = {.events = 10 * results_.backlog_workload.events};
    results_.ledger_keys = options.quick ? 100'000 : 10'000'000;
  }

  Results run() {
    if (chosen(options_.parts, "backlog")) backlog();
    if (chosen(options_.parts, "steady")) steady();
    if (chosen(options_.parts, "growth") && chosen(options_.kinds, "runtime")) growth();
    if (chosen(options_.parts, "fence") && chosen(options_.kinds, "runtime")) fence();
    return results_;
  }

 private:
  Figures measure(const std::string& what, const std::string& kind, const Workload& workload,
                  int processes = 1) {
    const Figures figures = programs_.run(kind, workload, processes);
    fmt::print(stderr, "{:<15}{:<14}{:>9.0f} events/s {:>7.2f} CPU ms/1000 {:>7.1f} MiB {:>5.0f} ev/batch",
               what, kind, figures.events_per_second, figures.cpu_ms_per_1000, figures.rss_mib,
               figures.batch_mean);
    if (workload.rate > 0 && figures.p50_ms)
      fmt::print(stderr, "  p50 {:.2f} ms p99 {:.2f} ms", *figures.p50_ms, *figures.p99_ms);
    fmt::print(stderr, "\n");
    return figures;
  }

  // In turn, and each round starts with another program: whatever the machine does meanwhile hits all of
  // them.
  void backlog() {
    for (int round = 0; round < options_.runs; ++round)
      for (std::size_t i = 0; i < options_.kinds.size(); ++i) {
        const std::string& kind =
            options_.kinds[(i + static_cast<std::size_t>(round)) % options_.kinds.size()];
        results_.backlog[kind].push_back(measure("backlog", kind, results_.backlog_workload));
      }
  }

  void steady() {
    const Workload workload{.events = options_.quick ? 3'000u : 11'000u, .rate = 1'000, .warm_up = 1'000};
    for (int round = 0; round < options_.runs; ++round)
      for (const std::string& kind : options_.kinds)
        if (kind != "broker" && kind != "database")
          results_.steady[kind].push_back(measure("steady", kind, workload));
  }

  void growth() {
    for (int round = 0; round < options_.runs; ++round) {
      results_.small.push_back(measure("small backlog", "runtime", results_.backlog_workload));
      results_.large.push_back(measure("large backlog", "runtime", results_.large_workload));
      if (chosen(options_.kinds, "bare_loop")) {
        results_.bare_small.push_back(measure("small backlog", "bare_loop", results_.backlog_workload));
        results_.bare_large.push_back(measure("large backlog", "bare_loop", results_.large_workload));
      }
      results_.two_processes.push_back(measure("two processes", "runtime", results_.large_workload, 2));
    }
    Workload random = results_.backlog_workload;
    random.random_keys = true;
    for (int round = 0; round < options_.runs; ++round)
      results_.empty_ledger.push_back(measure("empty ledger", "runtime", random));
    programs_.fill_ledger(results_.ledger_keys);
    for (int round = 0; round < options_.runs; ++round)
      results_.full_ledger.push_back(measure("full ledger", "runtime", random));
  }

  // Few per cent are looked for, so there are more runs, in pairs, and every other pair the other way round.
  void fence() {
    programs_.hand_over();
    for (int pair = 0; pair < 3 * options_.runs; ++pair)
      for (const bool on : {pair % 2 == 0, pair % 2 != 0}) {
        programs_.set_fence(on);
        (on ? results_.fenced : results_.unfenced)
            .push_back(measure(on ? "fence" : "no fence", "runtime", results_.backlog_workload));
      }
    programs_.set_fence(true);
  }

  const Options& options_;
  Programs programs_;
  Results results_;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  options.site.programs = std::filesystem::path(argv[0]).parent_path().string();
  CLI::App app{"Measures the runtime beside a bare loop and beside Go workers that do the same job"};
  app.add_option("--nats", options.site.nats,
                 "Address of a broker with the topology; its stream CORE is emptied")
      ->required();
  app.add_option("--postgres", options.site.postgres, "URL of a migrated database; schema bench is made anew")
      ->required();
  app.add_flag("--json", options.json, "One JSON object instead of tables");
  app.add_option("--events", options.events, "Size of the backlog")
      ->capture_default_str()
      ->check(CLI::Range(1'000, 10'000'000));
  app.add_flag("--quick", options.quick,
               "10,000 events, one run, a small ledger: shows that it works, not how fast");
  app.add_option("--runs", options.runs, "Runs of each kind; median, least and most are shown")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  app.add_option("--kinds", options.kinds, "Programs to measure")
      ->delimiter(',')
      ->check(CLI::IsMember(Programs::kinds()))
      ->default_str("all");
  app.add_option("--parts", options.parts, "backlog,steady,growth,fence")
      ->delimiter(',')
      ->check(CLI::IsMember({"backlog", "steady", "growth", "fence"}))
      ->default_str("all");
  CLI11_PARSE(app, argc, argv);
  if (options.quick) options.runs = 1, options.events = 10'000;
  try {
    const Results results = Session(options).run();
    fmt::print("{}\n", options.json ? to_json(results).dump(2) : to_table(results));
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench: {}\n", error.what());
    return 3;
  }
}
