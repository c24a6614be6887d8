#include "workers/score/batch_job.h"

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "workers/score/announcement.h"
#include "workers/score/batch_input.h"
#include "workers/score/domain/distribution.h"
#include "workers/score/domain/scoring.h"
#include "workers/score/run_store.h"
#include "workers/score/source_rows.h"

namespace cutover::score {
namespace {

constexpr std::chrono::milliseconds kNoteEvery{500};
constexpr int kAttemptsMax = 5;  // that end with an error
constexpr std::size_t kAnnounceRows = 5'000;

constexpr std::string_view kPending = R"sql(
SELECT EXISTS (SELECT FROM score_runs WHERE side = 'worker' AND state IN ('queued', 'running')),
       EXISTS (SELECT FROM score_runs WHERE side = 'worker' AND announced_to IS NOT NULL))sql";

constexpr std::string_view kSummary = R"sql(
UPDATE score_runs SET principals = $3::bigint, edges = $4::bigint, summary = $5::text::jsonb
WHERE run_id = $1::bigint AND attempt = $2::bigint AND state = 'running')sql";

// A candidate formula runs beside an official run, at the same t.
constexpr std::string_view kCandidates = R"sql(
INSERT INTO score_runs (side, official, beside, as_of, formula, stream, incarnation, sequence, key)
SELECT r.side, false, r.run_id, r.as_of, f.formula, r.stream, r.incarnation, r.sequence, r.key
FROM score_runs r CROSS JOIN serving.score_formulas f
WHERE r.run_id = $1::bigint AND r.official AND f.state = 'candidate' ORDER BY f.formula)sql";

// One run of one attempt, from the moment it was taken up.
class Run {
 public:
  Run(JobContext& context, bool shadow, OpenRun run, std::size_t threads)
      : context_(context), shadow_(shadow), run_(std::move(run)), threads_(threads) {}

  void execute() {
    Weights weights;
    context_.in_transaction(shadow_, [&](Transaction& tx) { weights = weights_of(tx, run_.formula); });
    // Its own block, so that the results alone are left when they are written.
    {
      phase(Phase::reading, 0, 0);
      BatchInput input =
          read_batch(context_, weights, run_.as_of,
                     [&](std::uint64_t done, std::uint64_t total) { phase(Phase::reading, done, total); });
      edges_ = input.graph->edges();
      phase(Phase::computing, 0, 1);
      std::vector<std::uint32_t> rows(input.principals.size());
      std::iota(rows.begin(), rows.end(), 0u);
      results_ = compute(*input.graph, input.standings, {rows, rows, rows}, threads_,
                         [&](std::size_t done, std::size_t total) {
                           phase(Phase::computing, done, total);
                           return true;
                         });
      input.graph.reset();
      stage(input.principals);
    }
    publish();
  }

 private:
  using Time = std::chrono::steady_clock::time_point;

  // Notes a phase when it begins and now and then while it lasts.
  void phase(Phase phase, std::uint64_t done, std::uint64_t total) {
    if (context_.stopping()) throw Stopped();
    const Instant now = context_.now();
    const bool begins = phase != phase_ || times_[0] == Instant();
    if (!begins && now - noted_ < kNoteEvery) return;
    if (begins) {
      times_[static_cast<std::size_t>(phase) - 1] = now;
      phase_ = phase;
    }
    noted_ = now;
    context_.in_transaction(shadow_, [&](Transaction& tx) { note_progress(tx, run_, phase, done, total); });
    context_.report({name_of(phase), static_cast<std::size_t>(phase), done, total});
  }

  void stage(const IdIndex& principals) {
    phase(Phase::staging, 0, results_.size());
    const std::unique_ptr<BulkSession> session = context_.open_bulk(shadow_);
    session->begin();
    if (run_.attempt > 1)
      session->query("DELETE FROM score_results WHERE run_id = " + std::to_string(run_.id));
    std::size_t next = 0;
    session->copy_in(
        "score_results (run_id, principal_id, score, quality, position, stability, trust, penalty, edges, "
        "up_1, up_2, down_1, down_2)",
        [&](BulkBuffer& buffer) {
          for (const std::size_t end = std::min(results_.size(), next + 256); next < end; ++next)
            write(buffer, principals.id(static_cast<std::uint32_t>(next)), results_[next]);
          phase(Phase::staging, next, results_.size());
          return next < results_.size();
        });
    session->commit();
  }

  void write(BulkBuffer& buffer, std::int64_t principal, const Result& result) const {
    buffer.begin_row(13);
    buffer.add(run_.id);
    buffer.add(principal);
    for (const double value :
         {result.score, result.quality, result.position, result.stability, result.trust, result.penalty})
      buffer.add(value);
    buffer.add(static_cast<std::int32_t>(result.edges));
    for (const Reason reason : {result.up[0], result.up[1], result.down[0], result.down[1]})
      reason == Reason::none ? buffer.add_null() : buffer.add(static_cast<std::int16_t>(reason));
  }

  void publish() {
    std::vector<double> scores;
    scores.reserve(results_.size());
    for (const Result& result : results_) scores.push_back(result.score);
    const Distribution spread = distribution_of(std::move(scores));
    phase(Phase::publishing, 0, 1);
    const std::string summary = summary_json(spread);
    context_.in_transaction(shadow_, [&](Transaction& tx) {
      if (!run_.stream.empty()) {
        // Whoever changes the ownership waits for this transaction, which is short.
        const auto owned = tx.query(
            "SELECT serving, shadow FROM cutover.hold_request('score-orchestrator', 'worker', $1::text, "
            "$2::bigint::integer, $3::bigint, $4::text)",
            {std::string_view(run_.stream), run_.incarnation, run_.sequence, std::string_view(run_.key)});
        if (!owned->boolean(0, shadow_ ? 1 : 0)) {
          give_up(tx, run_, "abandoned", "the request is not the worker's any more");
          return;
        }
      }
      tx.query(kSummary, {run_.id, run_.attempt, static_cast<std::int64_t>(results_.size()),
                          static_cast<std::int64_t>(edges_), std::string_view(summary)});
      const auto done =
          tx.query(shadow_ ? "SELECT shadow.publish_score_run($1::bigint, $2::bigint::integer)"
                           : "SELECT serving.publish_score_run($1::bigint, $2::bigint::integer)",
                   {run_.id, run_.attempt});
      if (!done->boolean(0, 0)) throw Superseded();
      if (!run_.official) return;
      tx.query(
          "UPDATE score_runs SET announced_to = -9223372036854775808 WHERE run_id = $1::bigint AND "
          "became_current AND previous IS NOT NULL",
          {run_.id});
      tx.query(kCandidates, {run_.id});
      announce_snapshot(tx, run_.cause(), run_.id, run_.as_of_text, run_.formula, spread, edges_);
    });
  }

  std::string summary_json(const Distribution& d) const {
    std::array<double, 4> means{};
    for (const Result& result : results_) {
      means[0] += result.quality;
      means[1] += result.position;
      means[2] += result.stability;
      means[3] += result.trust;
    }
    std::string json = "{" + distribution_json(d);
    for (std::size_t i = 0; i < means.size(); ++i)
      json += std::string(",\"") + kComponents[i] +
              "\":" + number_text(results_.empty() ? 0 : means[i] / static_cast<double>(results_.size()));
    json += ",\"histogram\":[";
    for (std::size_t i = 0; i < d.histogram.size(); ++i)
      json += (i ? "," : "") + std::to_string(d.histogram[i]);
    json += "],\"milliseconds\":{";
    for (std::size_t i = 0; i + 1 < times_.size(); ++i)
      json += (i ? ",\"" : "\"") + std::string(name_of(static_cast<Phase>(i + 1))) + "\":" +
              std::to_string(
                  std::chrono::duration_cast<std::chrono::milliseconds>(times_[i + 1] - times_[i]).count());
    return json + "}}";
  }

  JobContext& context_;
  const bool shadow_;
  const OpenRun run_;
  const std::size_t threads_;
  std::vector<Result> results_;
  std::uint64_t edges_ = 0;
  Phase phase_ = Phase::reading;
  std::array<Instant, 4> times_{};  // begin of each phase
  Instant noted_{};
};

// Ends a run that would fail every time.
void fail(JobContext& context, bool shadow, const OpenRun& run, const std::string& why) {
  context.log("a score run failed", why);
  context.in_transaction(shadow, [&](Transaction& tx) { give_up(tx, run, "failed", why); });
}

}  // namespace

bool BatchJob::run(JobContext& context) {
  const bool serving = run(context, false);
  const bool shadow = run(context, true);
  if (!serving && !shadow) context.report({"idle", 0, 0, 0});
  return serving || shadow;
}

bool BatchJob::run(JobContext& context, bool shadow) {
  bool waits = false, announces = false;
  context.in_transaction(shadow, [&](Transaction& tx) {
    const auto pending = tx.query(kPending);
    waits = pending->boolean(0, 0);
    announces = pending->boolean(0, 1);
  });
  if (!waits && !announces) return false;
  // Held to the end of the session: another process takes over as soon as this one is gone.
  const std::unique_ptr<BulkSession> lock = context.open_bulk(shadow);
  if (!lock->try_lock(shadow ? "cutover score batch shadow" : "cutover score batch serving")) return false;
  if (waits) {
    std::optional<OpenRun> run;
    context.in_transaction(shadow, [&](Transaction& tx) { run = take_run(tx, context.instance()); });
    if (run) {
      try {
        Run(context, shadow, *run, threads_).execute();
      } catch (const Stopped&) {
        return false;
      } catch (const Superseded&) {
        return true;
      } catch (const RefusedRow& e) {
        fail(context, shadow, *run, e.what());
      } catch (const std::invalid_argument& e) {  // the weights
        fail(context, shadow, *run, e.what());
      } catch (const std::exception& e) {
        const std::string what = e.what();
        context.in_transaction(shadow, [&](Transaction& tx) {
          if (note_failure(tx, *run, what) >= kAttemptsMax) give_up(tx, *run, "failed", what);
        });
        throw;
      }
    }
    return true;
  }
  bool more = false;
  context.in_transaction(shadow, [&](Transaction& tx) { more = announce_explanations(tx, kAnnounceRows); });
  return more;
}

}  // namespace cutover::score
