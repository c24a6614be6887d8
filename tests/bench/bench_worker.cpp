#include "tests/bench/bench_worker.h"

#include <string_view>

#include "tests/bench/commit_watch.h"

namespace cutover::bench {
namespace {

constexpr std::string_view kUpsert = R"sql(
INSERT INTO bench.subject_state (subject_id, version, score, updated_at)
SELECT DISTINCT ON (subject_id) subject_id, version, score, now()
FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS event (subject_id, version, score)
ORDER BY subject_id, version DESC
ON CONFLICT (subject_id) DO UPDATE
SET version = excluded.version, score = excluded.score, updated_at = excluded.updated_at
WHERE subject_state.version < excluded.version
)sql";

}  // namespace

std::vector<Verdict> BenchWorker::handle(std::span<const Event> events, Transaction& tx) {
  measurement_.fetched();
  std::vector<std::string_view> subjects;
  std::vector<std::int64_t> versions, scores, published;
  for (const Event& event : events) {
    const simdjson::padded_string_view json(event.payload.data(), event.payload.size(),
                                            event.payload.size() + simdjson::SIMDJSON_PADDING);
    simdjson::ondemand::document payload = parser_.iterate(json);
    scores.push_back(payload["score"]);
    published.push_back(payload["published_us"]);
    subjects.push_back(event.subject.id);
    versions.push_back(event.subject.version);
  }
  tx.execute(kUpsert, {std::span<const std::string_view>(subjects), std::span<const std::int64_t>(versions),
                     std::span<const std::int64_t>(scores)});
  CommitWatch::expect_commit(measurement_, std::move(published));
  return std::vector<Verdict>(events.size(), Done{});
}

WorkerSpec bench_worker_spec(Measurement& measurement) {
  WorkerSpec spec;
  spec.name = "bench";
  spec.lanes = {{.name = "main", .stream = "CORE", .filter_subject = "profile.>"}};
  spec.events = {{.name = "profile.updated"}};
  spec.concurrency = 2;
  spec.make = [&measurement] { return std::make_unique<BenchWorker>(measurement); };
  return spec;
}

}  // namespace cutover::bench
