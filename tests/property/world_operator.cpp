// What operators do: flips, seizes, incarnations, dead letters; and the upkeep.
#include "property/world.h"
#include "runtime/engine/ports.h"

namespace cutover::test {

bool World::flip(const std::string& mode, int percent, bool seize, int stale) {
  const SimulatedStream& core = broker.stream("CORE");
  if (flip_open || core.incarnation != known_incarnation_) return false;
  try {
    flipper_.queue("BEGIN");
    flipper_.run("SELECT pg_advisory_xact_lock(cutover.lock_class_worker(), worker_id) FROM cutover.workers WHERE worker = $1::text",
                 {std::string_view(worker_)});
    const std::string_view stream = stream_;
    const std::int64_t last = std::max<std::int64_t>(core.last - stale, 0), incarnation = core.incarnation, share = percent;
    auto rows = flipper_.run(R"sql(
SELECT epoch FROM cutover.append_segments($1::text, $2::text, $3::bigint::numeric, 'test', 'test', $4::text[], $5::bigint[]::integer[], $6::bigint[]))sql",
                             {std::string_view(worker_), std::string_view(mode), share, std::span(&stream, 1), std::span(&incarnation, 1),
                              std::span(&last, 1)});
    if (seize) take_back_events(rows->integer(0, 0));
    if (mode == "shadow" || mode == "canary") flipper_.run("SELECT cutover.seed_shadow_versions($1::text)", {std::string_view(worker_)});
  } catch (const TransactionConflict&) {
    flipper_.rollback();
    return false;
  } catch (const ClaimRefused& e) {
    flipper_.rollback();
    if (mode == "monolith") throw Violation("RV", std::string("a reverse was refused: ") + e.what());
    return false;
  }
  flip_open = true;
  ++flips;
  return true;
}

void World::take_back_events(std::int64_t epoch) {
  std::vector<std::int64_t> sequences;
  std::vector<std::string> texts;
  std::vector<std::string_view> ids, subjects, keys, headers, payloads;
  texts.reserve(broker.stream("CORE").messages.size() * 2);
  for (const auto& [sequence, packet] : broker.stream("CORE").messages) {
    sequences.push_back(sequence);
    ids.push_back(packet->event_id);
    subjects.push_back(texts.emplace_back("in." + packet->aggregate));
    keys.push_back(packet->aggregate);
    headers.push_back("{}");
    payloads.push_back(texts.emplace_back(text_of(*packet)));
  }
  if (!sequences.empty())
    flipper_.run(R"sql(
SELECT cutover.seize($1::text, $2::bigint, $3::text, $4::bigint::integer, $5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[]::jsonb[],
  (SELECT array_agg(convert_to(p, 'UTF8') ORDER BY o) FROM unnest($10::text[]) WITH ORDINALITY u (p, o))))sql",
                 {std::string_view(worker_), epoch, std::string_view(stream_), std::int64_t{broker.stream("CORE").incarnation},
                  std::span<const std::int64_t>(sequences), std::span<const std::string_view>(ids), std::span<const std::string_view>(subjects),
                  std::span<const std::string_view>(keys), std::span<const std::string_view>(headers), std::span<const std::string_view>(payloads)});
  flipper_.run("SELECT cutover.seize_replays($1::text, $2::bigint)", {std::string_view(worker_), epoch});
}

bool World::flip_commit() {
  if (!flip_open) return false;
  flipper_.run("COMMIT");
  flip_open = false;
  ++activity_;
  read_segments();
  return true;
}

bool World::flip_abort() {
  if (!flip_open) return false;
  flipper_.rollback();
  flip_open = false;
  return true;
}

bool World::in_operator_transaction(const std::function<bool()>& body) {
  try {
    run("BEGIN");
    const bool done = body();
    run(done ? "COMMIT" : "ROLLBACK");
    if (done) ++activity_;
    return done;
  } catch (const TransactionConflict&) {
    operator_.rollback();
    return false;
  } catch (const ClaimRefused&) {  // it is not as the operator believed
    operator_.rollback();
    return false;
  }
}

bool World::start_incarnation() {
  const int present = broker.stream("CORE").incarnation;
  if (flip_open || present == known_incarnation_) return false;
  const bool done = in_operator_transaction([&] {
    // The operator may have missed a life; each is declared.
    for (int incarnation = known_incarnation_ + 1; incarnation <= present; ++incarnation)
      run("SELECT cutover.start_incarnation($1::text, '2026-01-01'::timestamptz + $2::bigint * interval '1 day', 'test', 'test')",
          {std::string_view(stream_), std::int64_t{incarnation}});
    for (const std::string& key : deleted_) {
      const Key& gone = keys_.at(std::stoul(key.substr(1)));
      if (settings.ordered)
        run("SELECT cutover.pass_version($1::text, $2::text, $3::bigint)", {std::string_view(worker_), std::string_view(gone.aggregate), gone.version});
    }
    return true;
  });
  if (!done) return false;
  known_incarnation_ = present;
  read_segments();
  return true;
}

// What a letter is published as again; the subject and the message id are its publisher's.
Packet World::event_of(const LetterRow& row) {
  Packet packet;
  packet.event_id = row.event_id;
  packet.key = row.key;
  packet.aggregate = row.aggregate;
  packet.version = row.version;
  packet.body = row.body;
  return packet;
}

std::vector<World::LetterRow> World::letters(const std::string& state) {
  auto rows = run(R"sql(
SELECT d.letter_id, d.sequence, s.incarnation, d.state, convert_from(d.payload, 'UTF8') FROM cutover.dead_letters d
JOIN cutover.workers w USING (worker_id) JOIN cutover.streams s USING (stream_id)
WHERE w.worker = $1::text AND NOT d.shadow AND ($2::text = '' OR d.state = $2::text) ORDER BY d.letter_id)sql",
                  {std::string_view(worker_), std::string_view(state)});
  std::vector<LetterRow> found;
  for (std::size_t i = 0; i < rows->size(); ++i) {
    LetterRow& row = found.emplace_back();
    row.id = rows->integer(i, 0);
    row.sequence = rows->integer(i, 1);
    row.incarnation = static_cast<int>(rows->integer(i, 2));
    row.state = rows->text(i, 3);
    std::vector<std::string> parts{""};
    for (char c : rows->text(i, 4))
      if (c == '|') parts.emplace_back();
      else parts.back().push_back(c);
    row.event_id = parts.at(0);
    row.key = parts.at(1);
    row.aggregate = parts.at(2);
    row.version = std::stoll(parts.at(3));
    row.body = parts.at(4);
  }
  return found;
}

// The n-th letter in this state; "" for any.
std::optional<World::LetterRow> World::letter(int number, const std::string& state) {
  const std::vector<LetterRow> all = letters(state);
  if (all.empty()) return {};
  return all[static_cast<std::size_t>(number) % all.size()];
}

std::int64_t World::seal_letters(const std::string& filter, bool hand_over) {
  return run("SELECT cutover.seal_replay($1::text::jsonb, NULL, $2::boolean, 'test', 'test')", {std::string_view(filter), hand_over})->integer(0, 0);
}

void World::send_plan(std::int64_t plan, int count) {
  const std::int64_t ran = run("SELECT cutover.begin_replay($1::bigint, 'test', 'test')", {plan})->integer(0, 0);
  const std::int64_t taken = run("SELECT count(*) FROM cutover.replay_items WHERE plan_id = $1::bigint AND run = $2::bigint", {plan, ran})->integer(0, 0);
  run("SELECT cutover.send_replay($1::bigint, $2::bigint::integer, $3::bigint, $4::bigint)", {plan, ran, taken, std::int64_t{count}});
}

void World::edit_payload(const LetterRow& row) {
  Packet packet = event_of(row);
  packet.body = "edit";
  const std::string payload = text_of(packet);
  run(R"sql(
SELECT cutover.edit_letter($1::bigint, (SELECT jsonb_array_length(history) FROM cutover.dead_letters WHERE letter_id = $1::bigint),
  convert_to($2::text, 'UTF8'), $3::text, 'in.happened', $4::text, 'global', $5::text, $6::bigint, '[]', 'test', 'test'))sql",
      {row.id, std::string_view(payload), std::string_view(row.event_id), std::string_view(row.aggregate), std::string_view(row.key), row.version});
}

bool World::replay(int number, bool edit) {
  const std::optional<LetterRow> row = letter(number, "open");
  if (!row) return false;
  const bool sent = in_operator_transaction([&] {
    if (edit) edit_payload(*row);
    send_plan(seal_letters("{\"letters\": [" + std::to_string(row->id) + "]}", false), 1);
    return true;
  });
  if (sent && edit) edited_.insert({row->incarnation, row->sequence, row->event_id});
  return sent;
}

bool World::edit(int number) {
  const std::optional<LetterRow> row = letter(number, "");
  if (!row) return false;
  const bool edited = in_operator_transaction([&] {
    edit_payload(*row);
    return true;
  });
  if (edited) edited_.insert({row->incarnation, row->sequence, row->event_id});
  return edited;
}

bool World::hand_over(int number) {
  const std::optional<LetterRow> row = letter(number, "open");
  if (!row) return false;
  return in_operator_transaction([&] {
    send_plan(seal_letters("{\"letters\": [" + std::to_string(row->id) + "]}", true), 1);
    return true;
  });
}

bool World::seal(bool hand_over) {
  if (letters("open").empty()) return false;
  return in_operator_transaction([&] {
    plans_.push_back(seal_letters("{\"worker\": \"" + worker_ + "\"}", hand_over));
    return true;
  });
}

bool World::send(int number, int count) {
  if (plans_.empty()) return false;
  return in_operator_transaction([&] {
    send_plan(plans_[static_cast<std::size_t>(number) % plans_.size()], count);
    return true;
  });
}

bool World::stop(int number) {
  if (plans_.empty()) return false;
  const std::int64_t plan = plans_[static_cast<std::size_t>(number) % plans_.size()];
  return in_operator_transaction([&] {
    return !run("SELECT cutover.end_replay(p.plan_id, p.run, 'test', 'test', 'test') FROM cutover.replay_plans p WHERE p.plan_id = $1::bigint", {plan})
                ->is_null(0, 0);
  });
}

bool World::republish() {
  return in_operator_transaction([&] { return run("SELECT cutover.republish_replays('0 s', 100)")->integer(0, 0) > 0; });
}

bool World::drop(int number) {
  const std::optional<LetterRow> row = letter(number, "");
  if (!row) return false;
  bool held = false;
  const bool dropped = in_operator_transaction([&] {
    if (run("SELECT cutover.drop_letters(ARRAY[$1::bigint], NULL, 'test', 'test')", {row->id})->integer(0, 0) == 0) return false;
    held = run(R"sql(
SELECT count(*) FROM cutover.dead_letters d JOIN (SELECT * FROM cutover.marks UNION ALL SELECT * FROM cutover.marks_0 UNION ALL SELECT * FROM cutover.marks_1) m
  ON m.stream_id = d.stream_id AND m.sequence = d.sequence AND m.key = cutover.mark_key('v', d.worker_id, 'global' || E'\x1f' || d.idempotency_key)
WHERE d.letter_id = $1::bigint)sql",
               {row->id})->integer(0, 0) > 0;
    return true;
  });
  if (dropped && held) dropped_.insert(row->key);  // else of a second copy: the key lives elsewhere
  return dropped;
}

bool World::compact(bool sides_speak) {
  // Time passes: what the broker has on disk is old now, and so is what was said. Then both sides speak again, or are silent.
  run("UPDATE cutover.floors SET at = at - interval '1 hour'", {});
  run(R"sql(
UPDATE cutover.settlements t SET settled_at = now() - interval '1 hour' FROM cutover.workers w, cutover.streams s
WHERE w.worker = $1::text AND t.worker_id = w.worker_id AND s.stream = $2::text AND t.stream_id = s.stream_id AND t.event_hashes IS NOT NULL
  AND (s.incarnation < $3::bigint OR upper(t.span) - 1 <= $4::bigint))sql",
      {std::string_view(worker_), std::string_view(stream_), std::int64_t{broker.stream("CORE").incarnation}, broker.stream("CORE").synced});
  if (sides_speak) report_floors();
  run("SELECT cutover.compact_settlements('30 min', 500)");
  return true;
}

// The dedupe horizon of a key has passed: no producer repeats it any more. Its mark is a week older than the last publication.
bool World::expire(int key) {
  if (key >= produced()) return false;
  const std::string name = "k" + std::to_string(key), mark = "global\x1f" + name;
  auto kept = run("SELECT count(*) FROM cutover.outbox WHERE published_at IS NOT NULL AND stream LIKE 'in/%' AND convert_from(payload, 'UTF8') LIKE $1::text",
                  {std::string_view("%|" + name + "|%")});
  if (kept->integer(0, 0) > 0) return false;  // the horizon is longer than the relay keeps rows
  for (const Relay& relay : relays)
    if (relay.row && relay.packet->key == name) return false;
  std::string latest = "-infinity";
  bool left_to_other = false;
  for (const auto& [sequence, packet] : broker.stream("CORE").messages)
    if (packet->key == name && !packet->copy) {
      latest = packet->published_at;  // ascending
      left_to_other = left_to_other || !other_seen_.contains(sequence);
    }
  for (const std::string side : {"worker", "monolith"}) {
    const std::int64_t open = broker.first_open(side);
    const std::string settled = open ? broker.stream("CORE").messages.at(open)->published_at : "now";
    run(R"sql(
INSERT INTO cutover.progress (worker_id, stream_id, side, settled_before)
SELECT w.worker_id, s.stream_id, left($3::text, 1)::"char", CASE WHEN $4::text = 'now' THEN clock_timestamp() ELSE $4::text::timestamptz END
FROM cutover.workers w, cutover.streams s WHERE w.worker = $1::text AND s.stream = $2::text AND s.incarnation = $5::bigint
ON CONFLICT (worker_id, stream_id, side) DO UPDATE SET settled_before = excluded.settled_before, at = now())sql",
        {std::string_view(worker_), std::string_view(stream_), std::string_view(side), std::string_view(settled),
         std::int64_t{broker.stream("CORE").incarnation}});
  }
  try {
    run(R"sql(
WITH w AS (SELECT cutover.mark_key('v', worker_id, $2::text) AS mark FROM cutover.workers WHERE worker = $1::text),
z AS (DELETE FROM cutover.marks_0 m USING w WHERE m.key = w.mark RETURNING m.*),
o AS (DELETE FROM cutover.marks_1 m USING w WHERE m.key = w.mark RETURNING m.*)
INSERT INTO cutover.marks SELECT * FROM z UNION ALL SELECT * FROM o)sql",
        {std::string_view(worker_), std::string_view(mark)});
    run("UPDATE cutover.marks m SET marked_at = least(m.marked_at, greatest($3::text::timestamptz, (SELECT max(created_at) FROM cutover.outbox "
        "WHERE published_at IS NULL AND subject LIKE 'in.%' AND headers ->> 'Cutover-Republished-From' IS NULL AND convert_from(payload, 'UTF8') LIKE $4::text)) "
        "- interval '7 days') FROM cutover.workers w WHERE w.worker = $1::text AND m.key = cutover.mark_key('v', w.worker_id, $2::text)",
        {std::string_view(worker_), std::string_view(mark), std::string_view(latest), std::string_view("%|" + name + "|%")});
    expired_.insert(name);
    auto waiting = run("SELECT count(*) FROM cutover.outbox WHERE published_at IS NULL AND subject LIKE 'in.%' AND convert_from(payload, 'UTF8') LIKE $1::text",
                       {std::string_view("%|" + name + "|%")});
    if (!left_to_other && waiting->integer(0, 0) == 0) other_marks_.erase(name);
    std::string after;
    do {
      after = run("SELECT cutover.expire_marks(nullif($1::text, '')::uuid, 1000, '7 days')", {std::string_view(after)})->text(0, 0);
    } while (!after.empty());
  } catch (const TransactionConflict&) {
    operator_.rollback();
    return false;
  }
  return true;
}

bool World::report_floors() {
  for (const std::string side : {"worker", "monolith"}) {
    const std::int64_t open = broker.first_open(side);
    run("SELECT cutover.note_settled_below($1::text, $2::text, $3::text, $4::bigint::integer, $5::bigint)",
        {std::string_view(worker_), std::string_view(side), std::string_view(stream_), std::int64_t{broker.stream("CORE").incarnation},
         open ? open : std::numeric_limits<std::int64_t>::max()});
  }
  return true;
}

bool World::set_gap(bool at_once) {
  run("UPDATE cutover.workers SET gap_limit = $2::text::interval WHERE worker = $1::text", {std::string_view(worker_), std::string_view(at_once ? "0 s" : "10 min")});
  return true;
}

}  // namespace cutover::test
