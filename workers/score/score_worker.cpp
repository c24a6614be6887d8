#include "workers/score/score_worker.h"

#include <algorithm>

#include "workers/score/batch_job.h"
#include "workers/score/formula_watch.h"
#include "workers/score/incremental.h"
#include "workers/score/output.h"
#include "workers/score/request.h"
#include "workers/score/run_store.h"
#include "workers/score/source_rows.h"
#include "workers/score/upkeep.h"

namespace cutover::score {
namespace {

class ScoreWorker final : public Worker {
 public:
  // Requests for everything queue or join a run and are done; those that name principals are merged into one
  // incremental.
  std::vector<Verdict> handle(std::span<const Event> events, Transaction& tx) override {
    std::vector<Verdict> verdicts(events.size(), Done{});
    std::vector<std::int64_t> named;
    const Event* latest = nullptr;
    for (std::size_t i = 0; i < events.size(); ++i) {
      auto read = reader_.read(events[i]);
      if (const auto* bad = std::get_if<Unreadable>(&read)) {
        verdicts[i] = DeadLetter{std::string(events[i].event_name) + ": " + bad->reason};
        continue;
      }
      Request& request = std::get<Request>(read);
      if (request.all) {
        request_run(tx, events[i]);
        continue;
      }
      if (request.principals.empty()) continue;
      named.insert(named.end(), request.principals.begin(), request.principals.end());
      if (!latest || latest->occurred_at <= events[i].occurred_at) latest = &events[i];
    }
    if (!latest) return verdicts;
    std::sort(named.begin(), named.end());
    named.erase(std::unique(named.begin(), named.end()), named.end());
    try {
      recompute(tx, *latest, named);
    } catch (const RefusedRow& e) {
      // Nothing was written yet. Merged requests are tried one by one, so that a bad row costs those that
      // need it only.
      if (events.size() > 1) throw;
      return {DeadLetter{e.what()}};
    }
    return verdicts;
  }

 private:
  RequestReader reader_;
};

}  // namespace

std::unique_ptr<Worker> make_score_worker() {
  return std::make_unique<ScoreWorker>();
}

namespace {

constexpr double kShiftMax = 5;  // points; as after a change of the formula

// Of the newest run that either side published in a stretch of time.
std::string figure_of_newest(const std::string& figure) {
  return "SELECT " + figure + "::float8 FROM serving.score_results WHERE run_id = (SELECT max(run_id) FROM serving.score_runs "
         "WHERE state = 'published' AND official AND finished_at > $1::timestamptz AND finished_at <= $2::timestamptz)";
}

}  // namespace
}  // namespace cutover::score

namespace cutover {

WorkerSpec score_orchestrator_spec() {
  WorkerSpec spec;
  spec.name = "score-orchestrator";
  spec.lanes = {{.name = "request",
                 .stream = "GRAPH",
                 .filter_subject = "score.recompute_requested",
                 .batch_max = 64,
                 .ack_wait = std::chrono::seconds(60)}};
  spec.events = {{"score.recompute_requested"}};
  spec.concurrency = 1;
  spec.leaves_monolith = true;
  spec.make = [] { return score::make_score_worker(); };
  const auto batch = std::make_shared<score::BatchJob>(2);
  spec.jobs = {{"batch", std::chrono::milliseconds(200), 4,
                [batch](JobContext& context) { return batch->run(context); }}};
  spec.chores = {
      {"formula", std::chrono::minutes(1),
       [](Transaction& tx) {
         score::watch_formula(tx);
         return false;
       }},
      {"upkeep", std::chrono::minutes(1), [](Transaction& tx) { return score::forget_old_scores(tx); }}};
  spec.outputs = {score::scores_output()};
  spec.figures = {{"score_distribution", "mean score", score::figure_of_newest("avg(score)"), score::kShiftMax},
                  {"score_spread", "90th percentile of scores", score::figure_of_newest("percentile_cont(0.9) WITHIN GROUP (ORDER BY score)"), score::kShiftMax}};
  Outgoing request;
  request.event_name = "score.recompute_requested";
  request.subject_type = "score_snapshot";
  request.subject_id = "score";
  request.idempotency_key = "daily";
  request.payload = R"({"scope":"all","principal_ids":[],"reason":"daily"})";
  spec.schedules = {{.name = "daily", .cron = "0 2 * * *", .outgoing = std::move(request), .daily = true}};
  return spec;
}

}  // namespace cutover
