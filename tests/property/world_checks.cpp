// The invariants.
#include <algorithm>

#include "property/world.h"

namespace cutover::test {

void World::check_applied(const Instance& instance, const Instance::Effect& e) {
  const std::string where = std::to_string(e.incarnation) + "/" + std::to_string(e.sequence) + " " + e.event_id;
  for (const Done& done : applied_)
    if (done.effect.key == e.key)
      throw Violation("I1", e.key + " was applied by the " + done.side + " at " + std::to_string(done.effect.sequence) + ", then by the " + instance.side +
                                " at " + where);
  if (owner(e.incarnation, e.sequence, e.aggregate) != instance.side) throw Violation("I2", where + " was applied by the " + instance.side + ", which does not own it");
  for (const Done& done : applied_)
    if (settings.ordered && done.effect.aggregate == e.aggregate && done.effect.version > e.version)
      throw Violation("I5", e.aggregate + " version " + std::to_string(e.version) + " after version " + std::to_string(done.effect.version));
  if (e.body == "orig" && edited_.contains({e.incarnation, e.sequence, e.event_id})) throw Violation("I1e", where + ": the original after the edit");
}

// What the owner of a sequence has acknowledged, the ledger knows.
void World::check_stranded() {
  const SimulatedStream& core = broker.stream("CORE");
  if (core.incarnation != known_incarnation_ || core.messages.empty()) return;
  std::vector<std::int64_t> sequences;
  std::vector<std::string_view> ids;
  for (const auto& [sequence, packet] : core.messages) {
    const std::string side = owner(core.incarnation, sequence, packet->aggregate);
    if (!broker.acked({"CORE", side, broker.lane_of("CORE", *packet)}).contains(sequence)) continue;
    sequences.push_back(sequence);
    ids.push_back(packet->event_id);
  }
  auto rows = run(R"sql(
SELECT u.sequence FROM unnest($3::bigint[], $4::text[]) u (sequence, event_id)
WHERE NOT EXISTS (
  SELECT FROM cutover.settlements t JOIN cutover.workers w USING (worker_id) JOIN cutover.streams s USING (stream_id)
  WHERE w.worker = $1::text AND s.stream = $2::text AND s.incarnation = $5::bigint AND t.side <> 's' AND t.sequences @> u.sequence
    AND cutover.settled_as(t.sequences, t.event_hashes, u.sequence, u.event_id)))sql",
                  {std::string_view(worker_), std::string_view(stream_), std::span<const std::int64_t>(sequences), std::span<const std::string_view>(ids),
                   std::int64_t{core.incarnation}});
  if (rows->size() > 0) throw Violation("I6", "sequence " + std::string(rows->text(0, 0)) + " is acknowledged by its owner and settled by nobody");
}

void World::finish(int number) {
  claim(number);
  handle(number, "");
  commit(number);
  acknowledge(number, false);
}

void World::run_dry() {
  for (int round = 0; round < 60; ++round) {
    const std::uint64_t before = activity_;
    relay_check();
    start_incarnation();
    for (int relay = 0; relay < static_cast<int>(relays.size()); ++relay) {
      publish(relay);
      mark_published(relay);
      while (take(relay)) publish(relay), mark_published(relay);
    }
    report_floors();
    for (int i = 0; i < static_cast<int>(instances.size()); ++i) start(i), finish(i);
    for (auto& [lane, map] : broker.all_pending()) map.clear();
    for (int i = 0; i < static_cast<int>(instances.size()); ++i)
      for (const bool replayed : {false, true})
        for (int lane = 0; lane < broker.lanes(replayed ? "REPLAY" : "CORE"); ++lane)
          if (fetch(i, replayed, lane, 3)) finish(i);
    while (other_worker()) continue;
    if (activity_ == before) return;
  }
}

void World::quiesce() {
  flip_abort();
  set_gap(false);
  for (int round = 0; round < 8; ++round) {
    run_dry();
    if (settings.ordered) {
      set_gap(true);
      run_dry();
      set_gap(false);
    }
    const std::size_t open = letters("open").size();
    if (open == 0) break;
    for (std::size_t i = 0; i < open; ++i) replay(0, false);
  }
  final_check();
}

void World::final_check() {
  for (const LetterRow& row : letters(""))
    if (row.state == "open" || row.state == "replaying")
      throw Violation("I3", "the letter of " + row.event_id + " at " + std::to_string(row.sequence) + " is " + row.state + " for ever");
  const SimulatedStream& core = broker.stream("CORE");
  for (const auto& [sequence, packet] : core.messages) {
    auto settled = run(R"sql(
SELECT count(*) FROM cutover.settlements t JOIN cutover.workers w USING (worker_id) JOIN cutover.streams s USING (stream_id)
WHERE w.worker = $1::text AND s.stream = $2::text AND s.incarnation = $3::bigint AND t.side <> 's' AND t.sequences @> $4::bigint
  AND cutover.settled_as(t.sequences, t.event_hashes, $4::bigint, $5::text))sql",
                       {std::string_view(worker_), std::string_view(stream_), std::int64_t{core.incarnation}, sequence, std::string_view(packet->event_id)});
    if (settled->integer(0, 0) == 0) throw Violation("I3", "sequence " + std::to_string(sequence) + " is pending for ever");
  }
  std::set<std::string> done;
  for (const Done& effect : applied_) done.insert(effect.effect.key);
  for (int key = 0; key < produced(); ++key) {
    const std::string name = "k" + std::to_string(key);
    if (done.contains(name) && dropped_.contains(name)) throw Violation("I1", name + " was applied, and dropped");
    if (!done.contains(name) && !dropped_.contains(name) && !deleted_.contains(name)) throw Violation("I1", name + " is lost");
  }
  for (const std::string& key : done) {
    int left = 0;
    for (const auto& [sequence, packet] : broker.stream("OUT").messages) left += packet->key == key;
    if (left != 1) throw Violation("I4", "the outgoing event of " + key + " left " + std::to_string(left) + " times");
  }
  const std::int64_t written = run("SELECT count(*) FROM cutover.dead_letters d JOIN cutover.workers w USING (worker_id) WHERE w.worker = $1::text AND NOT d.shadow",
                                   {std::string_view(worker_)})->integer(0, 0);
  if (static_cast<std::int64_t>(broker.stream("DLQ").messages.size()) < written) throw Violation("I4", "a dead letter never reached DLQ");
}

}  // namespace cutover::test
