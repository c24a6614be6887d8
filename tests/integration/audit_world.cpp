#include "integration/audit_world.h"

#include <stdexcept>

#include "runtime/nats/api.h"

namespace cutover::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

Deadline soon() {
  return std::chrono::steady_clock::now() + 20s;
}

}  // namespace

AuditWorld::AuditWorld() : broker(nats.url()) {
  // The fixture's own streams give way to those of the project.
  for (const char* stream : {"DLQ", "SHADOW", "REPLAY"}) broker.admin.delete_stream(stream);
  if (run({"streams", "apply"}).code != 0) throw std::runtime_error("streams apply failed");
  for (const char* stream : {"CORE", "CONTACT"}) {
    const auto created = parse_api_time(broker.admin.stream(stream).value().at("created").get<std::string>());
    db.query("SELECT cutover.stream_incarnation($1, $2::timestamptz)",
             {stream, format_api_time(created.value())});
  }
}

Process::Environment AuditWorld::environment() const {
  return {{"CUTOVER_NATS_SERVERS", nats.url()},
          {"CUTOVER_POSTGRES_URL", db.url()},
          {"CUTOVER_NATS_TIMEOUT", "2s"}};
}

std::uint64_t AuditWorld::Answer::count(const std::string& stream, const std::string& audit_class) const {
  for (const json& audit : document.at("streams"))
    if (audit.at("stream") == stream) return audit.at("counts").at(audit_class);
  throw std::runtime_error("stream " + stream + " was not audited");
}

std::vector<std::uint64_t> AuditWorld::Answer::stranded() const {
  std::vector<std::uint64_t> sequences;
  for (const json& audit : document.at("streams"))
    for (const json& event : audit.at("stranded")) sequences.push_back(event.at("sequence"));
  return sequences;
}

AuditWorld::Answer AuditWorld::audit(const std::vector<std::string>& arguments) const {
  std::vector<std::string> all{"audit", "search-projector", "--json"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  const Ended ended = run(all);
  if (ended.out.empty()) throw std::runtime_error("no document: " + ended.err);
  return {ended.code, json::parse(ended.out), ended.err};
}

void AuditWorld::publish(const std::string& event_name, const std::vector<std::string>& keys,
                         bool key_header) {
  std::vector<Sending> messages;
  for (const std::string& key : keys) {
    EventDraft event;
    event.event_name = event_name;
    event.subject_id = key;
    event.idempotency_key = "event " + std::to_string(++events_);
    event.payload =
        R"({"contact_id": 1, "owner_id": 1, "profile_id": 1, "owner_principal_id": 1, "profile_class": "single"})";
    messages.push_back(sending(event, key_header ? key : ""));
  }
  broker.publish(messages);
}

void AuditWorld::read(const std::string& side, const std::string& lane, const std::string& stream,
                      const std::string& filter, std::size_t count, bool ack) {
  auto& source = sources_[side + "-" + lane];
  if (!source) {
    LaneSpec spec;
    spec.name = lane;
    spec.stream = stream;
    spec.filter_subject = filter;
    source = std::make_unique<PullSource>(broker.connection, side, std::vector<LaneSpec>{spec});
    source->prepare(soon());
  }
  std::vector<Message> messages;
  const Deadline deadline = soon();
  while (messages.size() < count && std::chrono::steady_clock::now() < deadline)
    source->receive(messages, count - messages.size(), deadline, {});
  if (messages.size() < count) throw std::runtime_error("not delivered: " + side + "-" + lane);
  if (!ack) return;
  for (const Message& message : messages) source->ack(message.reply);
  source->release(0, messages.size());
  source->flush(deadline);
}

void AuditWorld::settle(const std::string& stream, const std::vector<std::int64_t>& sequences,
                        std::string classes, const std::string& side) {
  LedgerSession session(db, "search-projector", side);
  std::vector<LedgerEvent> events;
  for (const std::int64_t sequence : sequences) {
    LedgerEvent& event = events.emplace_back(ledger_event(sequence, stream + " " + std::to_string(sequence)));
    if (const auto message = broker.message(stream, static_cast<std::uint64_t>(sequence)))
      event.event_id = json::parse(message->data).at("event_id");
  }
  if (classes.empty()) classes.assign(events.size(), 'a');
  session.begin();
  session.claim(stream, 1, events);
  session.settle(classes);
  session.commit();
}

void AuditWorld::heartbeat() {
  db.query(R"sql(
INSERT INTO cutover.instances (instance, worker_id, side, build, host, pid, detail)
SELECT 'monolith-1', worker_id, 'monolith', 'test', 'here', 1,
  '{"lanes": {"contact": {"stream": "CONTACT", "durable": "monolith-contact"}, "replay": {"stream": "REPLAY", "durable": "x"}}}'
FROM cutover.workers WHERE worker = 'search-projector')sql");
}

}  // namespace cutover::test
