#include "runtime/cli/status_query.h"

#include <algorithm>
#include <map>
#include <memory>

#include "runtime/cli/jetstream.h"
#include "runtime/cli/ownership_facts.h"
#include "runtime/host/connect_options.h"
#include "runtime/postgres/session.h"

namespace cutover::cli {
namespace {

using postgres::Session;

// Instances that run, and those that ended within the day without saying so.
constexpr const char* kInstances = R"sql(
SELECT i.instance, i.side, i.host, i.build, i.pid, a.alive, i.ready,
  extract(epoch FROM now() - i.started_at), extract(epoch FROM now() - i.seen_at)
FROM cutover.instances i
JOIN cutover.workers w USING (worker_id)
CROSS JOIN LATERAL (SELECT EXISTS (
  SELECT FROM pg_locks l
  WHERE l.locktype = 'advisory' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid::bigint = cutover.lock_class_instance()
    AND l.objid::bigint = (hashtext(i.instance)::bigint & 4294967295) AND l.objsubid = 2) AS alive) a
WHERE w.worker = $1 AND (a.alive OR (i.stopped_at IS NULL AND i.seen_at > now() - interval '1 day'))
ORDER BY a.alive DESC, i.started_at)sql";

constexpr const char* kSettled = R"sql(
SELECT CASE s.class WHEN 'a' THEN 'applied' WHEN 'd' THEN 'duplicate' WHEN 'n' THEN 'not_addressed'
                    WHEN 'x' THEN 'dead_letter' ELSE 'seized' END,
  sum((SELECT sum(upper(r) - lower(r)) FROM unnest(s.sequences) r))::bigint
FROM cutover.settlements s JOIN cutover.workers w USING (worker_id)
WHERE w.worker = $1 AND s.side <> 's' AND s.settled_at > now() - interval '1 hour'
GROUP BY 1)sql";

constexpr const char* kLetters = R"sql(
SELECT d.kind, count(*) FROM cutover.dead_letters d JOIN cutover.workers w USING (worker_id)
WHERE w.worker = $1 AND d.state IN ('open', 'replaying') AND NOT d.shadow GROUP BY 1)sql";

constexpr const char* kRetrying = R"sql(
SELECT count(*) FROM cutover.attempts a JOIN cutover.workers w USING (worker_id)
WHERE w.worker = $1 AND NOT a.shadow)sql";

constexpr const char* kOutbox = R"sql(
SELECT count(*) FILTER (WHERE available_at IS NULL),
  coalesce(extract(epoch FROM now() - min(created_at) FILTER (WHERE available_at IS NULL)), 0),
  count(*) FILTER (WHERE available_at IS NOT NULL),
  count(*) FILTER (WHERE available_at IS NULL AND attempts > 0),
  (SELECT count(*) FROM pg_stat_activity
   WHERE datname = current_database() AND application_name LIKE 'cutover relay%')
FROM cutover.outbox WHERE published_at IS NULL)sql";

std::string text(const std::vector<postgres::Cell>& row, std::size_t column) {
  return row.at(column).value_or("");
}
std::uint64_t count(const std::vector<postgres::Cell>& row, std::size_t column) {
  return std::stoull(text(row, column));
}
double number(const std::vector<postgres::Cell>& row, std::size_t column) {
  return std::stod(text(row, column));
}

void read_ledger(Session& session, WorkerStatus& worker) {
  for (const auto& row : session.query(kInstances, {worker.worker}).rows)
    worker.instances.push_back({text(row, 0), text(row, 1), text(row, 2), text(row, 3),
                                static_cast<int>(count(row, 4)), text(row, 5) == "t", text(row, 6) == "t",
                                number(row, 7), number(row, 8)});
  for (const auto& row : session.query(kSettled, {worker.worker}).rows)
    worker.settled_last_hour[text(row, 0)] = count(row, 1);
  for (const auto& row : session.query(kLetters, {worker.worker}).rows)
    worker.dead_letters[text(row, 0)] = count(row, 1);
  worker.retrying = count(session.query(kRetrying, {worker.worker}).rows.at(0), 0);
}

LaneStatus read_lane(JetStream& jetstream, const std::string& worker, const LaneSpec& spec) {
  LaneStatus lane{.lane = spec.name,
                  .stream = spec.stream,
                  .consumer = worker + "-" + spec.name,
                  .priority = spec.priority};
  const auto stream = jetstream.admin().stream(spec.stream);
  if (!stream) return lane;
  lane.last_sequence = stream->value("/state/last_seq"_json_pointer, std::uint64_t{0});
  const auto consumer = jetstream.admin().consumer(spec.stream, lane.consumer);
  if (!consumer) return lane;
  lane.exists = true;
  lane.pending = consumer->value("num_pending", std::uint64_t{0});
  lane.ack_pending = consumer->value("num_ack_pending", std::uint64_t{0});
  lane.redelivered = consumer->value("num_redelivered", std::uint64_t{0});
  return lane;
}

// The lane that every worker has besides its own.
LaneSpec replay_lane() {
  LaneSpec lane;
  lane.name = "replay";
  lane.stream = "REPLAY";
  lane.priority = 9;
  return lane;
}

// What its gate says with each heartbeat about its own consumers.
constexpr const char* kMonolithPending = R"sql(
SELECT sum((l.value ->> 'pending')::bigint + (l.value ->> 'ack_pending')::bigint)::bigint
FROM cutover.instances i JOIN cutover.workers w USING (worker_id)
CROSS JOIN LATERAL jsonb_each(CASE jsonb_typeof(i.detail -> 'lanes') WHEN 'object' THEN i.detail -> 'lanes' ELSE '{}' END) l
WHERE w.worker = $1::text AND i.side = 'monolith'
  AND i.seen_at = (SELECT max(n.seen_at) FROM cutover.instances n WHERE n.worker_id = i.worker_id AND n.side = 'monolith'))sql";

std::optional<Step> next_step(Stage stage) {
  switch (stage) {
    case Stage::monolith:
      return Step::shadow_start;
    case Stage::shadow:
      return Step::canary;
    case Stage::canary:
      return Step::switch_over;
    case Stage::worker:
      return Step::complete;
    case Stage::complete:
      break;
  }
  return std::nullopt;
}

// A reverse is never refused; but events need somebody who works on them.
std::string reverse_trouble(const OwnershipStatus& o, const GuardLimits& limits) {
  if (o.facts.standing.stage == Stage::complete) return "it is complete";
  if (o.facts.standing.stage == Stage::monolith) return "there is nothing to give back";
  for (const Guard& guard : guards_of(Step::switch_over, o.facts, limits))
    if ((guard.name == "gate" || guard.name == "vectors") && !guard.passed)
      return guard.name + ": " + guard.text;
  return "";
}

OwnershipStatus read_ownership(const Settings& settings, const std::string& worker,
                               postgres::Connection& database, JetStream* jetstream) {
  OwnershipStatus o;
  o.facts = read_facts(settings, worker, database, jetstream);
  std::map<std::string, postgres::SegmentRow> newest;
  for (auto& row : postgres::read_segments(database, worker)) newest[row.stream] = row;
  for (auto& [stream, row] : newest) o.segments.push_back(row);
  const auto pending = database.run(kMonolithPending, {std::string_view(worker)});
  if (!pending->is_null(0, 0)) o.monolith_pending = static_cast<std::uint64_t>(pending->integer(0, 0));
  // What the monolith owns and has not settled is counted by `complete`; here its gate's word will do.
  if (!o.facts.monolith_unsettled) o.facts.monolith_unsettled = o.monolith_pending;
  const GuardLimits limits = limits_of(settings);
  o.next = next_step(o.facts.standing.stage);
  if (o.next) o.guards = guards_of(*o.next, o.facts, limits);
  o.not_reversible = reverse_trouble(o, limits);
  return o;
}

void read_all_ownership(const Settings& settings, Status& status, JetStream* jetstream) {
  try {
    postgres::Connection database(postgres_options(settings, "cutover status"));
    database.connect();
    for (WorkerStatus& worker : status.workers)
      worker.ownership = read_ownership(settings, worker.worker, database, jetstream);
  } catch (const std::runtime_error& error) {
    if (std::find(status.troubles.begin(), status.troubles.end(), error.what()) == status.troubles.end())
      status.troubles.emplace_back(error.what());
  }
}

}  // namespace

Status read_status(const Settings& settings, const std::vector<std::string>& workers) {
  Status status;
  for (const WorkerSpec& spec : settings.workers)
    if (workers.empty() || std::find(workers.begin(), workers.end(), spec.name) != workers.end())
      status.workers.push_back({.worker = spec.name,
                                .instances = {},
                                .lanes = {},
                                .settled_last_hour = {},
                                .dead_letters = {},
                                .ownership = {}});
  try {
    Session session(settings.postgres.url, settings.postgres.password, "cutover status");
    for (WorkerStatus& worker : status.workers) read_ledger(session, worker);
    const auto row = session.query(kOutbox).rows.at(0);
    status.outbox = OutboxStatus{count(row, 0), number(row, 1), count(row, 2), count(row, 3), count(row, 4)};
  } catch (const std::runtime_error& error) {
    status.troubles.emplace_back(error.what());
  }
  std::unique_ptr<JetStream> jetstream;
  try {
    jetstream = std::make_unique<JetStream>(settings);
    for (WorkerStatus& worker : status.workers) {
      for (const LaneSpec& lane : settings.worker(worker.worker).lanes)
        worker.lanes.push_back(read_lane(*jetstream, worker.worker, lane));
      worker.lanes.push_back(read_lane(*jetstream, worker.worker, replay_lane()));
    }
  } catch (const BrokerError& error) {
    status.troubles.emplace_back(error.what());
  }
  if (status.outbox) read_all_ownership(settings, status, jetstream.get());
  return status;
}

}  // namespace cutover::cli
