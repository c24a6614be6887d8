#include "fault/flow.h"

#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>

#include <nlohmann/json.hpp>

#include "fixtures/waiting.h"
#include "runtime/nats/pull_source.h"

namespace cutover::test {
namespace {

constexpr std::size_t kPublishChunk = 2'000;

EventDraft thing(const std::string& key) {
  EventDraft event;
  event.event_name = "flow.thing_done";
  event.idempotency_key = key;
  event.subject_id = "s" + std::to_string(std::hash<std::string>{}(key) % 997);
  return event;
}

}  // namespace

bool long_form() { return std::getenv("CUTOVER_TEST_LONG") != nullptr; }

Flow::Flow() : Flow(Options()) {}

Flow::Flow(Options options)
    : db(servers.addresses().pg_url), broker(servers.addresses().nats_url), options_(std::move(options)) {
  broker.make_stream("FLOW", {"flow.>"});
  broker.make_stream("OUT", {"out.>"});
}

std::size_t Flow::publish(std::size_t unique, double duplicate_share, unsigned seed) {
  std::mt19937 random(seed);
  std::bernoulli_distribution twice(duplicate_share);
  std::vector<EventDraft> events;
  for (std::size_t i = 0; i < unique; ++i) {
    EventDraft event = thing("key " + std::to_string(i));
    event.payload = "{\"n\":" + std::to_string(i) + "}";
    if (twice(random)) {
      EventDraft copy = event;
      copy.event_id = uuid_of("copy of " + event.idempotency_key);
      events.push_back(std::move(copy));
    }
    events.push_back(std::move(event));
  }
  // Copies end up near, far behind and before their originals.
  for (std::size_t i = 0; i < events.size(); ++i)
    if (random() % 4 == 0) std::swap(events[i], events[random() % events.size()]);
  for (std::size_t from = 0; from < events.size(); from += kPublishChunk) {
    std::vector<Sending> chunk;
    for (std::size_t i = from; i < std::min(events.size(), from + kPublishChunk); ++i)
      chunk.push_back(sending(events[i], events[i].subject_id));
    broker.publish(chunk);
  }
  return events.size();
}

void Flow::publish_one(const std::string& key, const std::string& payload, const std::string& subject) {
  EventDraft event = thing(key);
  event.event_name = subject;
  event.payload = payload;
  broker.publish(sending(event, event.subject_id));
}

std::string Flow::log_file(std::size_t number) const { return servers.directory() + "/worker-" + std::to_string(number) + ".log"; }

void Flow::launch(std::size_t number) {
  std::vector<std::string> argv{CUTOVER_TEST_WORKER, "flow-worker", "--emit",         "out.effect_noted",
                                "--concurrency",     std::to_string(options_.concurrency)};
  for (const std::string& lane : options_.lanes) argv.insert(argv.end(), {"--lane", lane});
  for (const std::string event : {"flow.thing_done", "flow.urgent_done"}) argv.insert(argv.end(), {"--event", event});
  std::vector<std::pair<std::string, std::string>> environment{{"CUTOVER_NATS_SERVERS", broker.url()},
                                                               {"CUTOVER_POSTGRES_URL", db.url()},
                                                               {"CUTOVER_LOG_FORMAT", "json"}};
  environment.insert(environment.end(), options_.settings.begin(), options_.settings.end());
  workers_[number] = std::make_unique<Program>(argv, environment, log_file(number));
}

std::size_t Flow::start_worker() {
  workers_.push_back(nullptr);
  launch(workers_.size() - 1);
  return workers_.size() - 1;
}

void Flow::replace_worker(std::size_t number) {
  workers_.at(number)->kill();
  launch(number);
}

std::string Flow::ended_workers() {
  std::string ended;
  for (std::size_t i = 0; i < workers_.size(); ++i)
    if (!workers_[i]->running()) ended += "worker " + std::to_string(i) + " ended:\n" + log_tail(i) + "\n";
  return ended;
}

std::string Flow::log_tail(std::size_t number) {
  std::stringstream text;
  text << std::ifstream(log_file(number)).rdbuf();
  const std::string all = text.str();
  return all.substr(all.size() > 4000 ? all.size() - 4000 : 0);
}

std::int64_t Flow::effects() { return db.count("SELECT count(*) FROM effects"); }

bool Flow::quiet() {
  for (const auto& info : broker.admin.consumers("FLOW"))
    if (info.at("num_pending") != 0 || info.at("num_ack_pending") != 0) return false;
  return db.count("SELECT count(*) FROM cutover.outbox WHERE published_at IS NULL") == 0;
}

Flow::Out Flow::read_out() {
  const std::uint64_t count = broker.messages("OUT");
  LaneSpec lane;
  lane.name = "all";
  lane.stream = "OUT";
  lane.filter_subject = "out.>";
  lane.batch_max = 2'000;
  lane.max_ack_pending = 100'000;
  PullSource source(broker.connection, "reader", {lane});
  source.prepare(std::chrono::steady_clock::now() + std::chrono::seconds(20));
  Out out;
  std::vector<Message> messages;
  eventually([&] {
    messages.clear();
    source.receive(messages, 2'000, std::chrono::steady_clock::now() + std::chrono::milliseconds(100), {});
    for (const Message& message : messages) {
      out.keys.push_back(nlohmann::json::parse(message.data)["idempotency_key"]);
      out.ids.emplace_back(message.header("Nats-Msg-Id"));
      source.ack(message.reply);
    }
    source.release(0, messages.size());
    return out.keys.size() >= count;
  });
  return out;
}

}  // namespace cutover::test
