#pragma once

#include <memory>

#include "integration/cli_servers.h"
#include "runtime/postgres/connection.h"

namespace cutover::test {

// The score orchestrator as it is run: the program, a broker, PostgreSQL, a circle of forty people who know
// those around them. No monolith beside it unless a test says so.
struct ScoreServers : Servers {
  ScoreServers();

  // A process of the worker that is ready.
  std::unique_ptr<Process> start_worker();
  // Runs a command with --json; its document, with the exit code as "code" and standard error as "err".
  nlohmann::json ask(std::vector<std::string> arguments) const;
  // `cutover trigger score --as-of AT --wait`; requires that it succeeds.
  void compute(const std::string& as_of) const;
  // The run that `cutover status --json` shows in this state; null without one.
  nlohmann::json run_in_state(const std::string& state) const;
  // Publishes score.recompute_requested with this payload; returns its sequence in GRAPH.
  std::uint64_t request(const std::string& payload, const std::string& occurred_at);
  // So many messages of a subject are in its stream.
  std::int64_t sent(const std::string& stream, const std::string& subject) const;
};

// While this lives, batches come to their staging and stand still there.
class StandstillAtStaging {
 public:
  explicit StandstillAtStaging(const TestDatabase& database);
  // A run stands there.
  bool reached();
  void end();

 private:
  postgres::Connection connection_;
};

// What `/metrics` of a process says about a series, such as `cutover_job_phase{job="batch",...}`; empty
// without it.
std::string metric(const Process& process, const std::string& series);

}  // namespace cutover::test
