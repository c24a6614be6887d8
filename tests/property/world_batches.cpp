// What the instances of both sides do: fetch, claim, handle, commit, acknowledge.
#include <future>

#include "fixtures/waiting.h"
#include "property/world.h"
#include "runtime/engine/ports.h"

namespace cutover::test {
namespace {

using Texts = std::span<const std::string_view>;
using Numbers = std::span<const std::int64_t>;

// The items of a batch as the parallel arrays that the functions take.
struct Columns {
  explicit Columns(const World::Instance& instance) {
    for (const auto& item : instance.items) marks_text.push_back("global\x1f" + item.packet->key);
    for (std::size_t i = 0; i < instance.items.size(); ++i) {
      const Packet& packet = *instance.items[i].packet;
      sequences.push_back(packet.plan ? packet.origin_sequence : instance.items[i].sequence);
      ids.push_back(packet.event_id);
      keys.push_back(packet.aggregate);
      marks.push_back(marks_text[i]);
      versions.push_back(packet.version);
      plans.push_back(packet.plan);
    }
    incarnation = instance.items.front().packet->plan ? instance.items.front().packet->origin_incarnation : instance.items.front().incarnation;
  }
  std::vector<std::string> marks_text;
  std::vector<std::int64_t> sequences, versions, plans;
  std::vector<std::string_view> ids, keys, marks;
  std::int64_t incarnation = 0;
};

}  // namespace

bool World::fetch(int number, bool replay, int lane_number, int count) {
  Instance& instance = instances[number];
  const Lane lane{replay ? "REPLAY" : "CORE", instance.side, lane_number};
  std::vector<std::int64_t> sequences = broker.deliverable(lane);
  if (instance.phase != Instance::Phase::idle || sequences.empty()) return false;
  SimulatedStream& stream = broker.stream(std::get<0>(lane));
  if (replay) count = 1;  // a batch has one origin
  for (std::int64_t sequence : sequences) {
    if (static_cast<int>(instance.items.size()) == count) break;
    instance.items.push_back({std::get<0>(lane), stream.incarnation, sequence, stream.messages.at(sequence)});
    broker.pending(lane)[sequence] = instance.name;
  }
  instance.phase = Instance::Phase::fetched;
  return true;
}

// The SQL of a claim, in any thread. wait: for a lock that somebody is about to release.
World::Asked World::ask(Instance& instance, bool wait) {
  const Columns c(instance);
  postgres::Connection& connection = *instance.connection;
  try {
    connection.queue("BEGIN");
    if (wait) connection.queue("SET LOCAL lock_timeout = '2s'");
    auto rows = connection.run(R"sql(
SELECT serving, shadow FROM cutover.claim($1::text, $2::text, $3::text, $4::text, $5::bigint::integer,
  $6::bigint[], $7::text[], $8::text[], $9::text[], $10::bigint[], $11::bigint[]))sql",
                               {std::string_view(worker_), std::string_view(instance.side), std::string_view(instance.name),
                                std::string_view(stream_), c.incarnation, Numbers(c.sequences), Texts(c.ids), Texts(c.keys), Texts(c.marks),
                                Numbers(c.versions), Numbers(c.plans)});
    instance.serving = rows->text(0, 0);
    instance.shadow = rows->text(0, 1);
    if (wait) connection.run("SET LOCAL lock_timeout = '5ms'");
    return Asked::answered;
  } catch (const TransactionConflict&) {
    connection.rollback();
    return Asked::not_now;
  } catch (const ClaimRefused&) {
    connection.rollback();
    return Asked::refused;
  }
}

bool World::take_answer(Instance& instance, Asked answer) {
  if (answer == Asked::refused) back_to(instance, Instance::Phase::idle);
  if (answer == Asked::answered) instance.phase = Instance::Phase::claimed;
  return answer != Asked::not_now;
}

bool World::claim(int number) {
  Instance& instance = instances[number];
  return instance.phase == Instance::Phase::fetched && take_answer(instance, ask(instance, false));
}

bool World::claim_across_flip(int number) {
  Instance& instance = instances[number];
  if (instance.phase != Instance::Phase::fetched || !flip_open) return false;
  const std::int64_t pid = instance.connection->run("SELECT pg_backend_pid()")->integer(0, 0);
  auto answer = std::async(std::launch::async, [&] { return ask(instance, true); });
  eventually([&] {
    return answer.wait_for(std::chrono::seconds(0)) == std::future_status::ready ||
           run("SELECT count(*) FROM pg_locks WHERE pid = $1::bigint AND NOT granted", {pid})->integer(0, 0) > 0;
  }, std::chrono::seconds(2), std::chrono::milliseconds(1));
  flip_commit();
  return take_answer(instance, answer.get());
}

void World::settle(Instance& instance, const std::string& side, const std::string& classes) {
  const Columns c(instance);
  instance.connection->run(R"sql(
SELECT cutover.settle($1::text, $2::text, $3::text, $4::bigint::integer, $5::bigint[], $6::text[], $7::text[], $8::text[], $9::bigint[],
  $10::bigint[], $11::text))sql",
                           {std::string_view(worker_), std::string_view(side), std::string_view(stream_), c.incarnation, Numbers(c.sequences),
                            Texts(c.ids), Texts(c.keys), Texts(c.marks), Numbers(c.versions), Numbers(c.plans), std::string_view(classes)});
}

void World::write_letter(Instance& instance, std::size_t i, const std::string& kind, bool shadow) {
  const Columns c(instance);
  const Packet& packet = *instance.items[i].packet;
  const std::string body = text_of(packet);
  instance.connection->run(R"sql(
SELECT cutover.write_dead_letter($1::text, $2::text, $3::boolean, $4::text, 'build', $5::text, $6::bigint::integer, $7::bigint, $8::text,
  'in.happened', 'lane', $9::text, $10::text, 'global', $11::text, $15::bigint, $12::text, 'refused', 'refused', 1, NULL, $13::text::timestamptz, '[]',
  convert_to($14::text, 'UTF8')))sql",
                           {std::string_view(worker_), std::string_view(instance.side), shadow, std::string_view(instance.name),
                            std::string_view(stream_), c.incarnation, c.sequences[i], c.ids[i], std::string_view("in." + packet.aggregate), c.keys[i],
                            std::string_view(packet.key), std::string_view(kind), std::string_view(packet.published_at), std::string_view(body), packet.version});
}

bool World::handle(int number, const std::string& wanted) {
  Instance& instance = instances[number];
  if (instance.phase != Instance::Phase::claimed) return false;
  const Columns c(instance);
  std::string classes, shadow_classes, verdicts;
  instance.give_back.assign(instance.items.size(), false);
  instance.effects.clear();
  try {
    for (std::size_t i = 0; i < instance.items.size(); ++i) {
      const Packet& packet = *instance.items[i].packet;
      const char answer = instance.serving[i];
      char verdict = answer == 'a' || answer == 'u' ? (i < wanted.size() ? wanted[i] : 'D') : '-';
      bool shares = false;
      if (answer == 'd')  // of this very batch: it shares the verdict
        for (std::size_t k = 0; k < i && !shares; ++k)
          if (verdicts[k] != '-' && instance.items[k].packet->key == packet.key) shares = true, verdict = verdicts[k];
      verdicts.push_back(answer == 'd' ? '-' : verdict);
      if (answer == 'g') {
        write_letter(instance, i, "gap", false);
        classes.push_back('x');
      } else if (answer == 'd' && (!shares || verdict == 'D')) {
        classes.push_back('d');
      } else if (verdict == 'D') {
        classes.push_back('a');
        instance.effects.push_back({packet.key, packet.aggregate, packet.body, packet.version, c.sequences[i], static_cast<int>(c.incarnation),
                                    packet.event_id});
        Packet out;
        out.event_id = out.message_id = packet.key + ".out";
        out.key = packet.key;
        out.aggregate = packet.aggregate;
        out.version = packet.version;
        out.subject = "out." + packet.aggregate;
        add_row(*instance.connection, out);
      } else if (verdict == 'X') {
        write_letter(instance, i, "rejected", false);
        classes.push_back('x');
      } else {
        instance.give_back[i] = verdict == 'R' || answer == 'w';
        classes.push_back(verdict == 'R' && !shares ? 'r' : '-');
      }
      const char twin = instance.shadow[i];
      if (twin == 'a' || twin == 'u') {
        Packet out;
        out.event_id = out.message_id = packet.key + ".shadow";
        out.key = packet.key;
        out.aggregate = packet.aggregate;
        out.subject = "shadow." + packet.aggregate;
        add_row(*instance.connection, out);
      }
      if (twin == 'g') write_letter(instance, i, "gap", true);
      if (twin == 'w') instance.give_back[i] = true;
      shadow_classes.push_back(twin == 'a' || twin == 'u' ? 'a' : twin == 'd' ? 'd' : twin == 'g' ? 'x' : '-');
    }
    settle(instance, instance.side, classes);
    if (shadow_classes.find_first_not_of('-') != std::string::npos) settle(instance, "shadow", shadow_classes);
  } catch (const TransactionConflict&) {
    back_to(instance, Instance::Phase::idle);
    return true;
  } catch (const StatementError&) {
    // The engine splits such a batch: its first event alone, the others come again.
    if (instance.items.size() == 1) throw;
    const Instance::Item first = instance.items.front();
    back_to(instance, Instance::Phase::idle);
    instance.items = {first};
    broker.pending({first.stream, instance.side, broker.lane_of(first.stream, *first.packet)})[first.sequence] = instance.name;
    instance.phase = Instance::Phase::fetched;
    return true;
  }
  instance.settled = classes.find_first_not_of("-r") != std::string::npos || shadow_classes.find_first_not_of('-') != std::string::npos;
  letters_ += static_cast<int>(std::count(classes.begin(), classes.end(), 'x'));
  instance.phase = Instance::Phase::handled;
  return true;
}

bool World::commit(int number) {
  Instance& instance = instances[number];
  if (instance.phase != Instance::Phase::handled) return false;
  instance.connection->run("COMMIT");
  instance.phase = Instance::Phase::committed;
  if (instance.settled) ++activity_;
  for (const Instance::Effect& effect : instance.effects) {
    check_applied(instance, effect);
    applied_.push_back({effect, instance.side});
  }
  return true;
}

bool World::acknowledge(int number, bool lost) {
  Instance& instance = instances[number];
  if (instance.phase != Instance::Phase::committed) return false;
  for (std::size_t i = 0; i < instance.items.size(); ++i) {
    const Instance::Item& item = instance.items[i];
    SimulatedStream& stream = broker.stream(item.stream);
    const auto stored = stream.messages.find(item.sequence);
    if (lost || instance.give_back[i] || stream.incarnation != item.incarnation || stored == stream.messages.end() || stored->second != item.packet) continue;
    if (broker.acked({item.stream, instance.side, broker.lane_of(item.stream, *item.packet)}).insert(item.sequence).second) ++activity_;
    if (item.stream == "REPLAY") stream.messages.erase(item.sequence);  // a work queue
  }
  back_to(instance, Instance::Phase::idle);
  check_stranded();
  return true;
}

// Rolls back what is open; idle: what was not acknowledged is delivered again.
void World::back_to(Instance& instance, Instance::Phase phase) {
  if (instance.phase == Instance::Phase::claimed || instance.phase == Instance::Phase::handled || instance.phase == Instance::Phase::fetched)
    instance.connection->rollback();
  if (phase == Instance::Phase::idle)
    for (auto& [lane, map] : broker.all_pending()) std::erase_if(map, [&](const auto& entry) { return entry.second == instance.name; });
  instance.items.clear();
  instance.effects.clear();
  instance.phase = phase;
}

bool World::crash(int number) {
  if (instances[number].phase == Instance::Phase::down) return false;
  back_to(instances[number], Instance::Phase::down);  // its deliveries stay pending until ack_wait
  return true;
}

bool World::start(int number) {
  if (instances[number].phase != Instance::Phase::down) return false;
  instances[number].phase = Instance::Phase::idle;
  return true;
}

bool World::redeliver(int n) {
  for (auto& [lane, map] : broker.all_pending())
    for (auto entry = map.begin(); entry != map.end(); ++entry)
      if (n-- == 0) {
        map.erase(entry);
        return true;
      }
  return false;
}

}  // namespace cutover::test
