#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "runtime/postgres/session.h"

namespace cutover::postgres {

// Sealed plans for the replay of dead letters: thin calls of the functions in migrations/deploy/redrive.sql,
// which say what each refuses. Throws StatementError (CU006 another operator must approve, CU007 not possible
// now) and DependencyDown. One thread; the session outlives it.
class ReplayPlans {
 public:
  using Json = nlohmann::ordered_json;

  explicit ReplayPlans(Session& session) : session_(session) {}

  // Returns the plan's number.
  std::int64_t seal(const Json& filter, std::optional<std::uint64_t> limit, bool hand_over,
                    const std::string& actor, const std::string& reason);
  // What a plan over this filter would need a second person for: disputes, identity, scores.
  std::vector<std::string> areas(const Json& filter);
  void approve(std::int64_t plan, const std::string& actor, const std::string& reason);

  // {"plan", "state", "to_owner", "letters", "hash", "areas", "actor", "login", "reason", "sealed_at",
  // "approved_by", "approved_login", "approved_at", "run", "began_at", "ended_at", "stopped_because",
  // "filter"}; null for an unknown one.
  Json plan(std::int64_t plan);
  // The newest `limit` of them, each with "outcomes" as in `progress`.
  Json plans(std::uint64_t limit);
  // Its letters by group, as DeadLetters::groups.
  Json groups(std::int64_t plan);

  std::int64_t begin(std::int64_t plan, const std::string& actor,
                     const std::string& reason);  // returns the run
  // taken  by this run so far. Returns how many were taken now.
  std::uint64_t send(std::int64_t plan, std::int64_t run, std::uint64_t taken, std::uint64_t limit);
  Json progress(std::int64_t plan);  // as cutover.replay_progress
  // Returns the plan's state: done, or stopped.
  std::string end(std::int64_t plan, std::int64_t run, const std::string& because, const std::string& actor,
                  const std::string& reason);
  // Publishes again what has been replaying for longer than this. Returns how many.
  std::uint64_t republish(std::int64_t after_ms);

  // 99th percentile of the live lanes of the plan's workers, in milliseconds: the slowest lane of the slowest
  // process, as it said in the last half minute. None: nobody said.
  std::optional<double> live_latency_ms(std::int64_t plan);

 private:
  Session& session_;
};

}  // namespace cutover::postgres
