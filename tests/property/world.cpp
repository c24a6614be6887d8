#include "property/world.h"

#include <nlohmann/json.hpp>

#include "runtime/engine/ports.h"
#include "runtime/policy/segments.h"

namespace cutover::test {
namespace {

// Buckets 1,294, 5,900 and 8,867: a canary of 50 % takes the first, one of 80 % two of them. The last digit names the lane.
constexpr const char* kAggregates[] = {"ar0", "ak1", "am2"};

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts{""};
  for (char c : text)
    if (c == '|') parts.emplace_back();
    else parts.back().push_back(c);
  return parts;
}

postgres::ConnectionOptions with_name(const TestDatabase& database, const std::string& name) { return database.options("world " + name); }

}  // namespace

World::World(const TestDatabase& database, const std::string& name, const WorldSettings& how)
    : broker(how.lanes), settings(how), worker_("w-" + name), stream_("S" + name), operator_(with_name(database, "operator")),
      flipper_(with_name(database, "flip")) {
  auto open = [](postgres::Connection& connection) {
    connection.connect();
    connection.run("SET lock_timeout = '5ms'");  // whoever holds it will not move meanwhile
  };
  open(operator_);
  open(flipper_);
  run("DELETE FROM cutover.outbox");
  run("SELECT cutover.register_worker($1::text, $2::boolean)", {std::string_view(worker_), how.ordered});
  run("SELECT cutover.stream_incarnation($1::text, '2026-01-01'::timestamptz + interval '1 day')", {std::string_view(stream_)});
  for (const std::string side : {"monolith", "worker"})
    for (int i = 0; i < how.instances; ++i) {
      Instance& instance = instances.emplace_back();
      instance.name = worker_ + " " + side + std::to_string(i);
      instance.side = side;
      instance.connection = std::make_unique<postgres::Connection>(with_name(database, instance.name));
      open(*instance.connection);
    }
  if (how.segments) {
    flip("monolith", 0, false, 0);
    flip_commit();
    flips = 0;
  }
}

World::~World() {
  for (Instance& instance : instances) instance.connection->rollback();
  flipper_.rollback();
}

std::unique_ptr<Rows> World::run(std::string_view sql, std::initializer_list<Param> parameters) { return operator_.run(sql, parameters); }

int World::pending() const {
  int count = 0;
  for (const auto& [lane, map] : const_cast<SimulatedBroker&>(broker).all_pending()) count += static_cast<int>(map.size());
  return count;
}

// The rule of the segments, written down a second time.
std::string World::owner(int incarnation, std::int64_t sequence, const std::string& aggregate) const {
  const Segment* ruling = nullptr;
  bool any = false;
  for (const Segment& segment : segments_) {
    if (segment.incarnation != incarnation) continue;
    any = true;
    if (segment.from <= sequence && (!ruling || segment.epoch > ruling->epoch)) ruling = &segment;
  }
  if (!ruling) return any ? "monolith" : "worker";
  const bool worker = ruling->mode == "worker" || (ruling->mode == "canary" && bucket(aggregate) < ruling->percent * 100);
  return worker ? "worker" : "monolith";
}

void World::read_segments() {
  segments_.clear();
  auto rows = run(R"sql(
SELECT o.epoch, o.from_sequence, s.incarnation, o.mode, o.percent::integer FROM cutover.ownership o JOIN cutover.streams s USING (stream_id)
JOIN cutover.workers w USING (worker_id) WHERE w.worker = $1::text AND s.stream = $2::text)sql",
                  {std::string_view(worker_), std::string_view(stream_)});
  for (std::size_t i = 0; i < rows->size(); ++i)
    segments_.push_back({rows->integer(i, 0), rows->integer(i, 1), static_cast<int>(rows->integer(i, 2)), std::string(rows->text(i, 3)),
                         static_cast<int>(rows->integer(i, 4))});
}

std::int64_t World::add_row(postgres::Connection& connection, const Packet& packet) {
  const std::string body = text_of(packet);
  auto rows = connection.run(R"sql(
INSERT INTO cutover.outbox (message_id, subject, key, payload, headers, event_id)
VALUES ($1::text, $2::text, $3::text, convert_to($4::text, 'UTF8'), '{}', $5::text) RETURNING outbox_id)sql",
                             {std::string_view(packet.message_id), std::string_view(packet.subject), std::string_view(packet.aggregate),
                              std::string_view(body), std::string_view(packet.event_id)});
  return rows->integer(0, 0);
}

bool World::produce(int aggregate) {
  const std::string name = kAggregates[aggregate];
  Packet packet;
  packet.event_id = "e" + std::to_string(events_++);
  packet.key = "k" + std::to_string(keys_.size());
  packet.aggregate = name;
  packet.version = ++versions_[name];
  packet.body = "orig";
  packet.message_id = packet.event_id;
  packet.subject = "in." + name;
  keys_.push_back({name, packet.event_id, packet.version});
  add_row(operator_, packet);
  ++activity_;
  return true;
}

bool World::duplicate(int key) {
  const std::string name = "k" + std::to_string(key);
  if (key >= produced() || expired_.contains(name)) return false;
  Packet packet;
  packet.event_id = "e" + std::to_string(events_++);
  packet.key = name;
  packet.aggregate = keys_[key].aggregate;
  packet.version = keys_[key].version;
  packet.body = "orig";
  packet.message_id = packet.event_id;
  packet.subject = "in." + packet.aggregate;
  add_row(operator_, packet);
  ++activity_;
  return true;
}

bool World::take(int number) {
  Relay& relay = relays[number];
  if (relay.row) return false;
  std::string busy_key;
  std::int64_t busy_row = 0;
  for (const Relay& other : relays)
    if (other.row) busy_key = other.packet->aggregate, busy_row = other.row;
  auto rows = run(R"sql(
SELECT o.outbox_id, o.message_id, o.subject, o.key, convert_from(o.payload, 'UTF8'), h."all" ->> 'Cutover-Plan',
       h."all" ->> 'Cutover-Origin-Sequence', h."all" ->> 'Cutover-Origin-Incarnation', h."all" ->> 'Cutover-For', h."all" ->> 'Cutover-Republished-From'
FROM cutover.outbox o
CROSS JOIN LATERAL (SELECT CASE jsonb_typeof(o.headers)
  WHEN 'array' THEN (SELECT jsonb_object_agg(p ->> 0, p ->> 1) FROM jsonb_array_elements(o.headers) p) ELSE o.headers END) h ("all")
WHERE o.published_at IS NULL AND o.outbox_id <> $1::bigint AND (o.key <> $2::text OR o.subject NOT LIKE 'in.%')
  AND NOT EXISTS (SELECT FROM cutover.outbox e WHERE e.published_at IS NULL AND e.key = o.key AND e.outbox_id < o.outbox_id
                  AND split_part(e.subject, '.', 1) = split_part(o.subject, '.', 1))
ORDER BY o.priority, o.outbox_id LIMIT 1)sql",
                  {busy_row, std::string_view(busy_key)});
  if (rows->size() == 0) return false;
  auto packet = std::make_shared<Packet>();
  packet->message_id = rows->text(0, 1);
  packet->subject = rows->text(0, 2);
  const std::vector<std::string> parts = split(std::string(rows->text(0, 4)));
  packet->event_id = parts.at(0);
  packet->key = parts.at(1);
  packet->aggregate = parts.at(2);
  packet->version = std::stoll(parts.at(3));
  packet->body = parts.at(4);
  if (!rows->is_null(0, 5)) {
    packet->plan = std::stoll(std::string(rows->text(0, 5)));
    packet->origin_sequence = std::stoll(std::string(rows->text(0, 6)));
    packet->origin_incarnation = std::stoi(std::string(rows->text(0, 7)));
    const std::size_t side = packet->subject.find('.', std::string("replay.").size()) + 1;  // replay.<worker>.<side>.<lane>
    packet->side = packet->subject.substr(side, packet->subject.find('.', side) - side);
  }
  packet->addressed = rows->text(0, 8) == worker_;
  packet->copy = !rows->is_null(0, 9);
  relay.row = rows->integer(0, 0);
  relay.packet = packet;
  return true;
}

bool World::publish(int number) {
  Relay& relay = relays[number];
  if (!relay.row || relay.published) return false;
  const std::string family = relay.packet->subject.substr(0, relay.packet->subject.find('.'));
  const std::string name = family == "in" ? "CORE" : family == "replay" ? "REPLAY" : family == "dlq" ? "DLQ" : family == "out" ? "OUT" : "SHADOW";
  if (relay.packet->event_id.ends_with(".shadow") && name != "SHADOW") throw Violation("I4", "output of shadow on " + relay.packet->subject);
  auto packet = std::make_shared<Packet>(*relay.packet);
  packet->published_at = run("SELECT clock_timestamp()::text")->text(0, 0);
  SimulatedStream& stream = broker.stream(name);
  relay.sequence = stream.publish(packet);
  relay.incarnation = stream.incarnation;
  relay.published = true;
  // The horizon is a week after the last publication: what is no copy of another time moves it.
  if (name == "CORE" && expired_.contains(packet->key) && !packet->copy)
    run("UPDATE cutover.marks m SET marked_at = greatest(m.marked_at, $3::text::timestamptz - interval '7 days') FROM cutover.workers w "
        "WHERE w.worker = $1::text AND m.key = cutover.mark_key('v', w.worker_id, $2::text)",
        {std::string_view(worker_), std::string_view("global\x1f" + packet->key), std::string_view(packet->published_at)});
  ++activity_;
  return true;
}

bool World::mark_published(int number) {
  Relay& relay = relays[number];
  if (!relay.published) return false;
  const std::string stream = relay.packet->subject.substr(0, relay.packet->subject.find('.')) + "/" + std::to_string(relay.incarnation);
  run("UPDATE cutover.outbox SET published_at = now(), stream = $2::text, sequence = $3::bigint WHERE outbox_id = $1::bigint",
      {relay.row, std::string_view(stream), relay.sequence});
  relay = {};
  return true;
}

bool World::relay_crash(int number) {
  if (!relays[number].row) return false;
  relays[number] = {};
  return true;
}

bool World::relay_check() {
  auto rows = run("SELECT outbox_id, message_id, stream, sequence FROM cutover.outbox WHERE published_at IS NOT NULL AND stream LIKE 'in/%'");
  const SimulatedStream& core = broker.stream("CORE");
  for (std::size_t i = 0; i < rows->size(); ++i) {
    const bool same_life = rows->text(i, 2) == "in/" + std::to_string(core.incarnation);
    const auto stored = core.messages.find(rows->integer(i, 3));
    if (same_life && stored != core.messages.end() && stored->second->message_id == rows->text(i, 1)) continue;
    run("UPDATE cutover.outbox SET published_at = NULL WHERE outbox_id = $1::bigint", {rows->integer(i, 0)});
    ++activity_;
  }
  return true;
}

bool World::sync() {
  // outbox_keep is longer than the broker's sync interval, and the relay checks within it.
  relay_check();
  broker.stream("CORE").synced = broker.stream("CORE").last;
  run("DELETE FROM cutover.outbox WHERE published_at IS NOT NULL AND stream LIKE 'in/%'");
  return true;
}

bool World::lose_tail(int count) {
  const SimulatedStream& core = broker.stream("CORE");
  if (core.last - count < core.synced) return false;
  broker.lose_tail(count);
  for (std::int64_t sequence : std::set<std::int64_t>(other_seen_))
    if (sequence > core.last) other_seen_.erase(sequence);
  return true;
}

bool World::recreate() {
  std::set<std::string> kept;
  auto rows = run("SELECT message_id FROM cutover.outbox WHERE subject LIKE 'in.%'");
  for (std::size_t i = 0; i < rows->size(); ++i) kept.insert(std::string(rows->text(i, 0)));
  for (const auto& [sequence, packet] : broker.stream("CORE").messages)
    if (!kept.contains(packet->message_id)) deleted_.insert(packet->key);
  other_seen_.clear();
  broker.recreate();
  return true;
}

bool World::forget_window() {
  broker.stream("CORE").window.clear();
  broker.stream("REPLAY").window.clear();
  return true;
}

bool World::other_worker() {
  for (const auto& [sequence, packet] : broker.stream("CORE").messages) {
    if (!other_seen_.insert(sequence).second) continue;
    if (packet->addressed || other_marks_.contains(packet->key)) return true;
    if (!other_done_.insert(packet->key).second) throw Violation("I1b", "another worker applied " + packet->key + " twice");
    other_marks_.insert(packet->key);
    return true;
  }
  return false;
}

}  // namespace cutover::test
