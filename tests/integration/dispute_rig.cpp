#include "dispute_rig.h"

#include <algorithm>
#include <random>

#include <nlohmann/json.hpp>

#include "fixtures/waiting.h"
#include "runtime/contract/timestamp.h"
#include "runtime/postgres/transaction_source.h"

namespace cutover::test {
namespace {

Random64 numbers() {
  return [engine = std::make_shared<std::mt19937_64>(std::random_device()())] { return (*engine)(); };
}

ConnectionOptions connection_to(const std::string& url, const std::string& name) {
  ConnectionOptions options;
  options.servers = {url};
  options.name = name;
  return options;
}

MetricBounds bounds_of(const WorkerSpec& spec) {
  MetricBounds::WorkerLanes lanes{spec.name, {}};
  for (const LaneSpec& lane : spec.lanes) lanes.lanes.push_back(lane.name);
  return MetricBounds{{lanes}};
}

}  // namespace

struct DisputeRig::Instance {
  Instance(const DisputeRig& rig, const std::string& name, int incarnation)
      : metrics(bounds_of(rig.spec_), BuildInfo{}),
        health(rig.clock_),
        connection(connection_to(rig.broker.url(), name)),
        relay_connection(connection_to(rig.broker.url(), name + " relay")),
        publisher(relay_connection),
        store(rig.db.options(name + " relay")) {
    std::vector<ConsumerLane> lanes;
    for (const LaneSpec& lane : rig.spec_.lanes) lanes.push_back({lane, {lane.stream, incarnation}, false});
    source = std::make_unique<PullSource>(connection, rig.spec_.name, rig.spec_.lanes, PullOptions{});
    source->prepare(std::chrono::steady_clock::now() + std::chrono::seconds(20));
    const auto options = rig.db.options(name);
    auto transactions = [options, name, worker = rig.spec_.name](std::size_t thread) {
      return std::make_unique<postgres::PgTransactionSource>(
          options, postgres::Identity{.worker = worker, .instance = name, .build = "test build", .thread = static_cast<int>(thread)});
    };
    RelayOptions relay_options;
    relay_options.poll_interval = std::chrono::milliseconds(100);
    relay = std::make_unique<OutboxRelay>(store, publisher, rig.clock_, numbers(), metrics.outbox(), health, relay_options);
    loop = std::make_unique<ConsumerLoop>(ConsumerLoop::Parts{rig.spec_, lanes, *source, transactions, rig.clock_, numbers, metrics, health,
                                                              [this] { relay->wake(); }, ConsumerOptions{}});
  }
  ~Instance() { loop->drain(std::chrono::steady_clock::now() + std::chrono::seconds(30)); }

  Metrics metrics;
  Health health;
  Connection connection, relay_connection;
  NatsPublisher publisher;
  postgres::PgOutboxStore store;
  std::unique_ptr<PullSource> source;
  std::unique_ptr<OutboxRelay> relay;
  std::unique_ptr<ConsumerLoop> loop;
};

DisputeRig::DisputeRig(const std::string& nats_url, TestDatabase& database)
    : broker(nats_url), db(database), spec_(dispute_processor_spec()) {
  broker.make_stream("CORE", {"identity.>", "channel.>", "profile.>", "policy.>", "org.>", "security.>", "trust.>", "dispute.>"});
  broker.make_stream("GRAPH", {"graph.>", "score.recompute_requested"});
  for (LaneSpec& lane : spec_.lanes) lane.ack_wait = std::chrono::seconds(5);
}

DisputeRig::~DisputeRig() { stop(); }

void DisputeRig::start() {
  const StreamLife life = broker.publisher.stream_life("CORE", std::chrono::steady_clock::now() + std::chrono::seconds(20)).value();
  const int incarnation = static_cast<int>(
      db.count("SELECT cutover.stream_incarnation('CORE', 'epoch'::timestamptz + $1::bigint * interval '1 microsecond')",
               {std::to_string(life.created_at.time_since_epoch().count())}));
  instances_.push_back(std::make_unique<Instance>(*this, "dispute-" + std::to_string(++started_), incarnation));
}

void DisputeRig::stop() { instances_.clear(); }

Sending DisputeRig::message(const CaseMessage& told) const {
  const std::string id = std::to_string(told.case_id);
  EventDraft draft;
  draft.event_name = told.name;
  draft.subject_id = id;
  draft.subject_version = told.version;
  draft.idempotency_key = told.key.empty() ? "case:" + id + ":" + std::to_string(told.version) : told.key;
  draft.payload = told.payload;
  auto envelope = nlohmann::json::parse(draft.text());
  std::string at = told.occurred_at;
  if (at.empty()) append_timestamp(at, clock_.now());
  envelope["occurred_at"] = at;
  Sending sending{told.name + (told.token.empty() ? "" : "." + told.token), envelope.dump(), ""};
  sending.headers.emplace_back("Cutover-Key", id);
  return sending;
}

void DisputeRig::publish(const std::vector<CaseMessage>& messages) {
  std::vector<Sending> sendings;
  for (const CaseMessage& told : messages) sendings.push_back(message(told));
  broker.publish(sendings);
}

bool DisputeRig::settled(std::chrono::milliseconds limit) {
  return eventually(
      [&] {
        const auto quiet = [&] {
          for (const LaneSpec& lane : spec_.lanes)
            if (!broker.consumer("CORE", spec_.name + "-" + lane.name).idle()) return false;
          return true;
        };
        const auto all_left = [&] {
          return db.count("SELECT count(*) FROM cutover.outbox WHERE published_at IS NULL AND (available_at IS NULL OR available_at <= now() OR timer_key LIKE '%:again%')") == 0;
        };
        return quiet() && all_left() && quiet() && all_left();
      },
      limit, std::chrono::milliseconds(50));
}

std::int64_t DisputeRig::stored(const std::string& subject) {
  std::int64_t count = 0;
  for (const StoredMessage& message : broker.all("CORE")) count += message.subject == subject;
  return count;
}

std::string opened_payload(std::int64_t case_id, const std::string& type, const std::string& severity, const std::string& evidence,
                           const std::string& opened_at, const std::string& more) {
  std::string payload = "{\"case_id\":" + std::to_string(case_id) + ",\"case_type\":\"" + type + "\",\"severity\":\"" + severity + "\"," + more;
  if (more.find("principal_id") == std::string::npos) payload += "\"principal_id\":" + std::to_string(1'000'000 + case_id) + ",";
  return payload + "\"verified_business\":false,\"opened_at\":\"" + opened_at + "\",\"evidence\":" + evidence + "}";
}

}  // namespace cutover::test
