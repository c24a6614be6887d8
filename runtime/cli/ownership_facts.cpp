#include "runtime/cli/ownership_facts.h"

#include <algorithm>
#include <set>

#include "runtime/cli/topology_files.h"
#include "runtime/host/build_info.h"
#include "runtime/host/host.h"
#include "runtime/host/vital_signs.h"
#include "runtime/nats/api.h"
#include "runtime/policy/vectors.h"
#include "runtime/postgres/ownership.h"
#include "streams/topology_plan.h"

namespace cutover::cli {
namespace {

using std::chrono::seconds;

constexpr const char* kInstances = R"sql(
SELECT i.instance, i.side, i.build, a.alive, i.ready, extract(epoch FROM now() - i.seen_at)::bigint,
  coalesce(i.detail ->> 'vectors', '')
FROM cutover.instances i
JOIN cutover.workers w USING (worker_id)
CROSS JOIN LATERAL (SELECT EXISTS (
  SELECT FROM pg_locks l
  WHERE l.locktype = 'advisory' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid::bigint = cutover.lock_class_instance()
    AND l.objid::bigint = (hashtext(i.instance)::bigint & 4294967295) AND l.objsubid = 2) AS alive) a
WHERE w.worker = $1::text AND i.stopped_at IS NULL AND i.seen_at > now() - interval '1 day'
ORDER BY i.side, i.started_at)sql";

constexpr const char* kParity = R"sql(
SELECT verdict, extract(epoch FROM now() - at)::bigint, samples, build, schema_version::bigint
FROM cutover.parity_verdicts WHERE worker = $1::text ORDER BY at DESC LIMIT 1)sql";

constexpr const char* kCounts = R"sql(
SELECT (SELECT count(*) FROM cutover.dead_letters d JOIN cutover.workers w USING (worker_id)
        WHERE w.worker = $1::text AND d.state IN ('open', 'replaying') AND NOT d.shadow),
  (SELECT count(*) FROM cutover.outbox WHERE published_at IS NULL AND available_at IS NULL),
  (SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)::bigint FROM cutover.outbox
   WHERE published_at IS NULL AND available_at IS NULL),
  cutover.schema_version()::bigint, now())sql";

void read_instances(postgres::Connection& database, GuardFacts& facts) {
  const auto rows = database.run(kInstances, {std::string_view(facts.worker)});
  for (std::size_t i = 0; i < rows->size(); ++i) {
    InstanceFact instance{std::string(rows->text(i, 0)), std::string(rows->text(i, 2)),
                          rows->boolean(i, 3),           rows->boolean(i, 4),
                          seconds(rows->integer(i, 5)),  std::string(rows->text(i, 6))};
    (rows->text(i, 1) == "worker" ? facts.instances : facts.gates).push_back(std::move(instance));
  }
}

void read_streams(const WorkerSpec& spec, postgres::Connection& database, JetStream& jetstream,
                  GuardFacts& facts) {
  const auto names = streams_of(spec);
  const auto known = postgres::read_lives(database, names);
  for (const std::string& name : names) {
    StreamFact fact{name, StreamFact::Life::same};
    const auto info = jetstream.admin().stream(name);
    if (!info) {
      fact.life = StreamFact::Life::missing;
    } else if (const auto life = known.find(name); life != known.end()) {
      const auto created = parse_api_time(info->value("created", ""));
      if (!created || *created != life->second.created_at) fact.life = StreamFact::Life::recreated;
    }
    facts.streams.push_back(fact);
  }
}

std::string topology_difference(const Settings& settings, JetStream& jetstream) {
  std::string differences;
  for (const Change& change : plan(topology_of(settings), jetstream.admin()))
    if (change.kind != Change::Kind::unmanaged)
      differences += (differences.empty() ? "" : "; ") + to_text(change);
  return differences;
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  std::string part;
  for (const char c : list + ",") {
    if (c != ',') {
      if (c != ' ') part += c;
      continue;
    }
    if (!part.empty()) parts.push_back(std::exchange(part, {}));
  }
  return parts;
}

}  // namespace

std::vector<std::string> streams_of(const WorkerSpec& worker) {
  std::set<std::string> names;
  for (const LaneSpec& lane : worker.lanes) names.insert(lane.stream);
  return {names.begin(), names.end()};
}

GuardLimits limits_of(const Settings& settings) {
  GuardLimits limits;
  limits.stable = std::chrono::duration_cast<seconds>(settings.ownership.stable);
  limits.parity_age_max = std::chrono::duration_cast<seconds>(settings.ownership.parity_age_max);
  limits.parity_samples_min = settings.ownership.parity_samples_min;
  limits.drain_max = settings.ownership.drain_max;
  limits.outbox_waiting_max = settings.ownership.outbox_waiting_max;
  limits.order = split(settings.ownership.order);
  return limits;
}

GuardFacts read_facts(const Settings& settings, const std::string& worker, postgres::Connection& database,
                      JetStream* jetstream) {
  const WorkerSpec& spec = settings.worker(worker);
  GuardFacts facts;
  facts.worker = worker;
  facts.build = build_info().version;
  facts.schema_needed = kSchemaVersion;
  facts.vectors = vectors_hash();
  for (auto& [name, standing] : postgres::read_standings(database)) {
    if (name == worker) facts.standing = standing;
    facts.others.emplace_back(name, standing);
  }
  read_instances(database, facts);
  const auto parity = database.run(kParity, {std::string_view(worker)});
  if (parity->size() > 0)
    facts.parity = ParityFact{std::string(parity->text(0, 0)), seconds(parity->integer(0, 1)),
                              static_cast<std::uint64_t>(parity->integer(0, 2)),
                              std::string(parity->text(0, 3)), static_cast<int>(parity->integer(0, 4))};
  const auto counts = database.run(kCounts, {std::string_view(worker)});
  facts.dead_letters = static_cast<std::uint64_t>(counts->integer(0, 0));
  facts.outbox_waiting = static_cast<std::uint64_t>(counts->integer(0, 1));
  facts.outbox_oldest = seconds(counts->integer(0, 2));
  facts.schema_version = static_cast<int>(counts->integer(0, 3));
  facts.now = SystemClock().now();
  if (jetstream != nullptr) {
    const WorkerLag lag = read_lag(database, jetstream->admin(), spec);
    facts.pending = lag.pending;
    facts.drain_seconds = lag.drain_seconds;
    read_streams(spec, database, *jetstream, facts);
    facts.topology_difference = topology_difference(settings, *jetstream);
  }
  return facts;
}

}  // namespace cutover::cli
