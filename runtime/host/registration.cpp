#include "runtime/host/registration.h"

#include <unistd.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "runtime/host/connect_options.h"
#include "runtime/host/host.h"
#include "runtime/host/worker_process.h"
#include "runtime/observe/log.h"

namespace cutover {
namespace {

constexpr std::chrono::seconds kRowEvery{10};
constexpr std::chrono::milliseconds kConnectPause{250};

constexpr std::string_view kInShadow = R"sql(
SELECT FROM (SELECT o.mode FROM cutover.ownership o JOIN cutover.workers w USING (worker_id)
             WHERE w.worker = $1::text ORDER BY o.epoch DESC LIMIT 1) o WHERE o.mode IN ('shadow', 'canary'))sql";

constexpr std::chrono::seconds kStatementLimit{5};  // a hanging database must not hold up the drain

postgres::ConnectionOptions control_options(const Settings& settings, const std::string& instance) {
  postgres::ConnectionOptions options = postgres_options(settings, "cutover control " + instance);
  options.statement_timeout = kStatementLimit;
  return options;
}

std::string host_name() {
  char host[256] = "unknown";
  ::gethostname(host, sizeof host - 1);
  return host;
}

}  // namespace

Registration::Registration(const Settings& settings, const std::string& instance, const BuildInfo& build,
                           const std::vector<std::string>& workers, Health& health)
    : settings_(settings),
      instance_(instance),
      build_(build),
      workers_(workers),
      health_(health),
      connection_(control_options(settings, instance)) {}

void Registration::connect() {
  connection_.connect();
  connection_.run("SELECT pg_advisory_lock_shared(cutover.lock_class_instance(), hashtext($1::text))", {std::string_view(instance_)});
  locked_generation_ = connection_.generation();
}

void Registration::start(Deadline deadline) {
  for (;;) {
    try {
      connection_.connect();
      break;
    } catch (const DependencyDown& e) {
      if (std::chrono::steady_clock::now() >= deadline)
        throw StartError(std::string(e.what()) + ". Do: check postgres.url and that the server runs");
      std::this_thread::sleep_for(kConnectPause);
    }
  }
  try {
    std::int64_t version = connection_.run("SELECT cutover.schema_version()")->integer(0, 0);
    if (version < kSchemaVersion)
      throw StartError("the database has schema version " + std::to_string(version) + ", this build needs " +
                       std::to_string(kSchemaVersion) + ". Do: deploy the migrations of this build (scripts/migrate)");
    health_.set_check("schema", true, "version " + std::to_string(version));
    for (const std::string& worker : workers_) {
      const WorkerSpec& spec = settings_.worker(worker);
      connection_.run("SELECT cutover.register_worker($1::text, $2::boolean, $3::text)",
                      {std::string_view(worker), spec.ordered, std::string_view(spec.leaves_monolith ? "monolith" : "worker")});
    }
    connection_.run("SELECT pg_advisory_lock_shared(cutover.lock_class_instance(), hashtext($1::text))", {std::string_view(instance_)});
    locked_generation_ = connection_.generation();
  } catch (const StatementError& e) {
    if (e.sqlstate == "3F000" || e.sqlstate == "42883")
      throw StartError("the database has no cutover schema. Do: deploy the migrations (scripts/migrate). PostgreSQL says: " +
                       std::string(e.what()));
    if (e.sqlstate == "42501")
      throw StartError("the database role may not use the cutover schema: " + std::string(e.what()) +
                       ". Do: grant it the role of its worker, such as cutover_search_projector");
    throw StartError(e.what());
  }
}

int Registration::incarnation(const std::string& stream, Instant created_at) {
  try {
    return static_cast<int>(connection_.run("SELECT cutover.stream_incarnation($1::text, $2::timestamptz)", {std::string_view(stream), created_at})
                                ->integer(0, 0));
  } catch (const std::runtime_error& e) {
    throw StartError(e.what());
  }
}

void Registration::write_row(const std::string& worker, bool ready, const std::string& detail) {
  std::string host = host_name();
  connection_.run(R"sql(
INSERT INTO cutover.instances (instance, worker_id, side, build, host, pid, ready, detail)
SELECT $1::text, worker_id, 'worker', $3::text, $4::text, $5::bigint::integer, $6::boolean, $7::text::jsonb FROM cutover.workers WHERE worker = $2::text
ON CONFLICT (instance, worker_id) DO UPDATE SET ready = excluded.ready, detail = excluded.detail, seen_at = now())sql",
                  {std::string_view(instance_), std::string_view(worker), std::string_view(build_.version), std::string_view(host),
                   std::int64_t{::getpid()}, ready, std::string_view(detail)});
}

// What came since the row before; the first row of a process holds all that it did.
void Registration::write_batches(const std::string& worker, const Histogram::Total& total) {
  Histogram::Total& written = written_batches_[worker];
  if (total.count == written.count) return;
  connection_.run(R"sql(
WITH old AS (DELETE FROM cutover.batch_times b USING cutover.workers w
             WHERE w.worker = $1::text AND b.worker_id = w.worker_id AND b.at < now() - interval '8 days')
INSERT INTO cutover.batch_times (worker_id, instance, batches, seconds)
SELECT worker_id, $2::text, $3::bigint, $4::double precision FROM cutover.workers WHERE worker = $1::text)sql",
                  {std::string_view(worker), std::string_view(instance_), static_cast<std::int64_t>(total.count - written.count),
                   total.sum - written.sum});
  written = total;
}

void Registration::beat(const std::vector<std::unique_ptr<WorkerProcess>>& workers) {
  try {
    if (!connection_.connected()) connect();
    for (const auto& worker : workers)
      worker->set_shadow(connection_.run(kInShadow, {std::string_view(worker->name())})->size() > 0);
    health_.set_check("postgres", true, "connected");
    health_.set_check("schema", true, "new enough");
  } catch (const std::exception& e) {
    health_.set_check("postgres", false, e.what());
  }
  bool all_connected = true, all_running = true;
  std::string trouble, topology, refusal;
  for (const auto& worker : workers) {
    WorkerProcess::Report report = worker->report();
    if (!report.broker_trouble.empty()) all_connected = false, trouble = report.broker_trouble;
    if (!report.lane_trouble.empty()) all_running = false, topology = report.lane_trouble;
    if (!report.refusal.empty()) refusal = report.refusal;
    if (std::chrono::steady_clock::now() < next_row_ || !connection_.connected()) continue;
    try {
      write_row(worker->name(), report.broker_trouble.empty() && report.lane_trouble.empty() && report.refusal.empty(), report.detail);
      write_batches(worker->name(), report.batches);
      for (const Origin& origin : report.without_backlog)
        connection_.run("SELECT cutover.note_no_backlog($1::text, 'worker', $2::text, $3::bigint::integer)",
                        {std::string_view(worker->name()), std::string_view(origin.stream), std::int64_t{origin.incarnation}});
      for (const auto& [origin, below] : report.settled_below)
        connection_.run("SELECT cutover.note_settled_below($1::text, 'worker', $2::text, $3::bigint::integer, $4::bigint)",
                        {std::string_view(worker->name()), std::string_view(origin.stream), std::int64_t{origin.incarnation}, below});
    } catch (const std::exception& e) {
      log_warn("this process could not be noted in cutover.instances", {{"error", e.what()}});
    }
  }
  if (std::chrono::steady_clock::now() >= next_row_) next_row_ = std::chrono::steady_clock::now() + kRowEvery;
  health_.set_check("nats", all_connected, all_connected ? "connected" : trouble);
  health_.set_check("ownership", refusal.empty() && connection_.connected(), refusal.empty() ? "claims are answered" : refusal);
  health_.set_check("topology", all_running, all_running ? "every lane has its consumer" : topology);
}

void Registration::stop() noexcept {
  try {
    if (!connection_.connected()) return;
    connection_.run("UPDATE cutover.instances SET ready = false, stopped_at = now(), seen_at = now() WHERE instance = $1::text",
                    {std::string_view(instance_)});
    connection_.disconnect();
  } catch (const std::exception& e) {
    log_warn("the end of this process could not be noted", {{"error", e.what()}});
  }
}

}  // namespace cutover
