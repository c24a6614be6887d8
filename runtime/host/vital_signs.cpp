#include "runtime/host/vital_signs.h"

#include <algorithm>

namespace cutover {
namespace {

// The best second of the last minute: what the worker can do, not what there was to do.
constexpr const char* kPace = R"sql(
SELECT coalesce(max(n), 0)::double precision FROM (
  SELECT sum((SELECT sum(upper(r) - lower(r)) FROM unnest(t.sequences) r)) AS n
  FROM cutover.settlements t JOIN cutover.workers w USING (worker_id)
  WHERE w.worker = $1::text AND t.side IN ('w', 's') AND t.settled_at > now() - interval '1 minute'
  GROUP BY date_trunc('second', t.settled_at)) s)sql";

constexpr double kPaceMin =
    100;  // events a second that any worker manages, also one that had nothing to do yet

constexpr const char* kSettled = R"sql(
SELECT coalesce(sum((SELECT sum(upper(r) - lower(r)) FROM unnest(t.sequences) r)), 0)::bigint
FROM cutover.settlements t JOIN cutover.workers w USING (worker_id)
WHERE w.worker = $1::text AND t.side <> 's' AND t.class IN ('a', 'd', 'x')
  AND t.settled_at > $2::timestamptz AND t.settled_at <= $3::timestamptz)sql";

constexpr const char* kLetters = R"sql(
SELECT count(*) FROM cutover.dead_letters d JOIN cutover.workers w USING (worker_id)
WHERE w.worker = $1::text AND NOT d.shadow AND d.first_failed_at > $2::timestamptz AND d.first_failed_at <= $3::timestamptz)sql";

constexpr const char* kFailing = R"sql(
SELECT count(*) FROM cutover.attempts a JOIN cutover.workers w USING (worker_id) WHERE w.worker = $1::text AND NOT a.shadow)sql";

constexpr const char* kBatches = R"sql(
SELECT coalesce(sum(b.batches), 0)::bigint, coalesce(sum(b.seconds), 0)
FROM cutover.batch_times b JOIN cutover.workers w USING (worker_id)
WHERE w.worker = $1::text AND b.at > $2::timestamptz AND b.at <= $3::timestamptz)sql";

VitalSigns between(postgres::Connection& database, std::string_view worker, Instant from, Instant to) {
  const auto batches = database.run(kBatches, {worker, from, to});
  return {static_cast<std::uint64_t>(database.run(kSettled, {worker, from, to})->integer(0, 0)),
          static_cast<std::uint64_t>(database.run(kLetters, {worker, from, to})->integer(0, 0)),
          static_cast<std::uint64_t>(batches->integer(0, 0)), batches->number(0, 1)};
}

std::optional<double> newest(postgres::Connection& database, const std::string& sql, Instant from, Instant to) {
  const auto rows = database.run(sql, {from, to});
  return rows->size() > 0 && !rows->is_null(0, 0) ? std::optional(rows->number(0, 0)) : std::nullopt;
}

}  // namespace

WorkerLag read_lag(postgres::Connection& database, StreamAdmin& broker, const WorkerSpec& worker) {
  WorkerLag lag;
  for (const LaneSpec& lane : worker.lanes) {
    const auto consumer = broker.consumer(lane.stream, worker.name + "-" + lane.name);
    if (!consumer) return lag;  // it never ran: nobody knows how much waits for it
    lag.pending += consumer->value("num_pending", std::uint64_t{0}) +
                   consumer->value("num_ack_pending", std::uint64_t{0});
  }
  const double pace = database.run(kPace, {std::string_view(worker.name)})->number(0, 0);
  lag.drain_seconds = static_cast<double>(lag.pending) / std::max(pace, kPaceMin);
  return lag;
}

WatchFacts read_vital_signs(postgres::Connection& database, StreamAdmin* broker, const WorkerSpec& worker,
                            const Standing& standing) {
  WatchFacts facts;
  if (broker != nullptr) facts.drain_seconds = read_lag(database, *broker, worker).drain_seconds;
  facts.failing =
      static_cast<std::uint64_t>(database.run(kFailing, {std::string_view(worker.name)})->integer(0, 0));
  const Instant now = SystemClock().now();
  const Instant since = standing.since.value_or(now);
  facts.now = between(database, worker.name, std::max(since, now - std::chrono::minutes(10)), now);
  facts.before = between(database, worker.name, since - std::chrono::hours(24), since);
  for (const OutputFigure& f : worker.figures)
    facts.figures.push_back({f.name, f.what, newest(database, f.sql, since, now), newest(database, f.sql, since - std::chrono::hours(168), since),
                             f.change_max});
  return facts;
}

}  // namespace cutover
