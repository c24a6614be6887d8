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

VitalSigns between(postgres::Connection& database, std::string_view worker, Instant from, Instant to) {
  return {static_cast<std::uint64_t>(database.run(kSettled, {worker, from, to})->integer(0, 0)),
          static_cast<std::uint64_t>(database.run(kLetters, {worker, from, to})->integer(0, 0))};
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
  return facts;
}

}  // namespace cutover
