// Rotation, merging, compaction and expiry change where the ledger keeps its answers, never the answers.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <cstdlib>
#include <limits>
#include <map>
#include <random>
#include <set>

#include "fixtures/event_draft.h"
#include "fixtures/ledger_session.h"
#include "runtime/postgres/ledger_upkeep.h"

using namespace cutover;
using namespace cutover::test;

namespace {

// A side says that it has everything below a sequence behind it.
void settled_below(TestDatabase& db, std::int64_t sequence, const std::string& side = "worker") {
  db.query("SELECT cutover.note_settled_below('search-projector', $1, 'S', 1, $2::bigint)", {side, std::to_string(sequence)});
}

constexpr const char* kWorker = "search-projector";
constexpr int kSequences = 400, kMarks = 250;

// The rules of runtime.md's ledger in a few lines: what each claim must answer.
class Model {
 public:
  // compacted: the ledger holds this sequence in a range and no longer knows of which event
  std::string claim(const std::vector<LedgerEvent>& batch, const std::set<std::int64_t>& compacted) const {
    std::string answer;
    std::set<std::string> taken;
    for (const LedgerEvent& event : batch) {
      auto place = settled_.find(event.sequence);
      const bool known = place != settled_.end();
      if (known && (place->second.contains(event.event_id) || compacted.contains(event.sequence))) {
        answer.push_back('=');
      } else if (!event.mark.empty() && (marks_.contains(event.mark) || !taken.insert(event.mark).second)) {
        answer.push_back('d');
      } else {
        answer.push_back(known ? 'u' : 'a');
      }
    }
    return answer;
  }
  void settle(const std::vector<LedgerEvent>& batch, const std::string& answer, const std::string& classes) {
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (classes[i] == '-') continue;
      const bool took = (answer[i] == 'a' || answer[i] == 'u') && !batch[i].mark.empty();
      if (took && classes[i] != 'r') marks_.insert(batch[i].mark);
      if (classes[i] != 'r') settled_[batch[i].sequence].insert(batch[i].event_id);
    }
  }

 private:
  std::set<std::string> marks_;
  std::map<std::int64_t, std::set<std::string>> settled_;
};

class Schedule {
 public:
  explicit Schedule(unsigned seed) : random_(seed), session_(db_, kWorker) {
    db_.query("SELECT cutover.stream_incarnation('S', '2026-01-01T00:00:00Z')");
    // Everything is settled, yet nothing is old enough to be forgotten.
    db_.query("INSERT INTO cutover.progress (worker_id, stream_id, side, settled_before) SELECT worker_id, stream_id, 'w', now() "
              "FROM cutover.workers, cutover.streams WHERE worker = 'search-projector'");
  }

  void step() {
    const unsigned choice = roll(100);
    if (choice < 55) return work();
    if (choice < 65) return look();
    if (choice < 70) return work_during_upkeep();
    upkeep();
  }
  int turns() const { return turns_; }

 private:
  unsigned roll(unsigned sides) { return static_cast<unsigned>(random_() % sides); }

  LedgerEvent event_at(std::int64_t sequence) {
    LedgerEvent event = ledger_event(sequence);
    // Several places share a key; some take none; now and then the broker hands out a sequence again.
    event.mark = sequence % 17 == 0 ? "" : "global\x1fmark " + std::to_string(sequence * 7919 % kMarks);
    if (roll(25) == 0) event.event_id = uuid_of("reuse " + std::to_string(sequence) + "/" + std::to_string(roll(2)));
    return event;
  }
  std::vector<LedgerEvent> random_batch() {
    std::set<std::int64_t> sequences;
    const std::int64_t around = roll(kSequences);
    for (unsigned i = 0, size = 1 + roll(24); i < size; ++i) sequences.insert(1 + (around + roll(40)) % kSequences);
    // Far away in the same stream, so that rows span several blocks.
    if (roll(5) == 0) sequences.insert(20'000 + roll(30));
    std::vector<LedgerEvent> batch;
    for (std::int64_t sequence : sequences) batch.push_back(event_at(sequence));
    return batch;
  }
  std::set<std::int64_t> compacted(const std::vector<LedgerEvent>& batch) {
    std::set<std::int64_t> found;
    for (const LedgerEvent& event : batch)
      if (db_.count("SELECT count(*) FROM cutover.settlements WHERE event_hashes IS NULL AND sequences @> $1::bigint",
                    {std::to_string(event.sequence)}) > 0)
        found.insert(event.sequence);
    return found;
  }
  std::string random_classes(const std::vector<LedgerEvent>& batch, const std::string& answer) {
    std::string classes;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (answer[i] == '=') classes.push_back('-');
      else if (answer[i] == 'd') classes.push_back(roll(4) == 0 ? '-' : 'd');
      else if (batch[i].mark.empty()) classes.push_back('n');
      else classes.push_back("aaaaaaaxrr"[roll(10)]);
    }
    // A duplicate of an event of this batch that is given back stays open.
    for (std::size_t i = 0; i < batch.size(); ++i)
      for (std::size_t k = 0; k < i; ++k)
        if (answer[i] == 'd' && classes[k] == 'r' && batch[k].mark == batch[i].mark) classes[i] = '-';
    return classes;
  }
  void begin_and_check(const std::vector<LedgerEvent>& batch) {
    expected_ = model_.claim(batch, compacted(batch));
    session_.begin();
    REQUIRE(session_.claim("S", 1, batch).serving == expected_);
  }
  void look() {
    begin_and_check(random_batch());
    session_.rollback();
  }
  void finish(const std::vector<LedgerEvent>& batch) {
    const std::string classes = random_classes(batch, expected_);
    session_.settle(classes);
    if (roll(6) == 0) return session_.rollback();  // the process dies before its commit
    session_.commit();
    model_.settle(batch, expected_, classes);
  }
  void work() {
    const std::vector<LedgerEvent> batch = random_batch();
    begin_and_check(batch);
    finish(batch);
  }
  void work_during_upkeep() {
    const std::vector<LedgerEvent> batch = random_batch();
    begin_and_check(batch);
    upkeep();
    finish(batch);
  }
  void upkeep() {
    switch (roll(4)) {
      case 0: turns_ += db_.value("SELECT cutover.rotate_marks(0)") == "t"; break;
      case 1: db_.query("SELECT cutover.merge_marks($1::integer)", {std::to_string(1 + roll(60))}); break;
      case 2:
        settled_below(db_, std::numeric_limits<std::int64_t>::max());
        db_.query("SELECT cutover.compact_settlements('0 s', $1::integer)", {std::to_string(1 + roll(20))});
        break;
      case 3: db_.query("SELECT cutover.expire_marks(NULL, 1000, '1 hour')"); break;
    }
  }

  std::mt19937 random_;
  TestDatabase db_;
  LedgerSession session_;
  Model model_;
  std::string expected_;
  int turns_ = 0;
};

bool in_long_form() { return std::getenv("CUTOVER_TEST_LONG") != nullptr; }

struct Expiry {
  Expiry() { db.query("SELECT cutover.stream_incarnation('S', '2026-01-01T00:00:00Z')"); }
  // Marks of `count` events, two days old, in the big table.
  void old_marks(int count) {
    LedgerSession session(db, kWorker);
    std::vector<LedgerEvent> batch;
    for (int i = 1; i <= count; ++i) batch.push_back(ledger_event(i));
    session.work("S", 1, batch);
    db.query("UPDATE cutover.marks_0 SET marked_at = now() - interval '2 days'");
    db.query("SELECT cutover.rotate_marks(0)");
    db.query("SELECT cutover.merge_marks(100000)");
  }
  void settled_before(const std::string& side, const std::string& when) {
    db.query("INSERT INTO cutover.progress (worker_id, stream_id, side, settled_before) SELECT worker_id, stream_id, $1, now() - $2::interval "
             "FROM cutover.workers, cutover.streams WHERE worker = 'search-projector' "
             "ON CONFLICT (worker_id, stream_id, side) DO UPDATE SET settled_before = excluded.settled_before, at = now()",
             {side, when});
  }
  std::int64_t left_after_expiry(const std::string& horizon) {
    std::string after;
    do {
      after = db.value("SELECT cutover.expire_marks(nullif($1, '')::uuid, 7, $2::interval)", {after, horizon});
    } while (!after.empty());
    return db.count("SELECT count(*) FROM cutover.marks");
  }
  TestDatabase db;
};

}  // namespace

TEST_CASE("upkeep keeps every answer of the ledger the same", "[ledger]") {
  const unsigned seed = GENERATE(Catch::Generators::range(1u, in_long_form() ? 41u : 4u));
  CAPTURE(seed);
  Schedule schedule(seed);
  for (int step = 0; step < 700; ++step) {
    CAPTURE(step);
    schedule.step();
  }
  CHECK(schedule.turns() > 3);
}

TEST_CASE("marks expire when both sides have settled everything published within the horizon", "[ledger]") {
  Expiry expiry;
  expiry.old_marks(30);
  CHECK(expiry.left_after_expiry("1 hour") == 30);  // nobody has said how far it is
  expiry.settled_before("w", "1 hour");
  expiry.settled_before("m", "3 days");  // the monolith is behind
  CHECK(expiry.left_after_expiry("1 hour") == 30);
  expiry.settled_before("m", "1 hour");
  CHECK(expiry.left_after_expiry("3 days") == 30);  // younger than the horizon
  CHECK(expiry.left_after_expiry("1 day") == 0);
}

TEST_CASE("open dead letters keep their marks, closed ones do not", "[ledger]") {
  Expiry expiry;
  expiry.old_marks(4);
  for (const std::string state : {"open", "replaying", "replayed"})
    expiry.db.query("INSERT INTO cutover.dead_letters (worker_id, stream_id, sequence, shadow, event_hash, state, lane, side, subject, event_id, "
                    "event_name, key, tenant_scope, idempotency_key, kind, error, error_group, attempts, first_failed_at, last_failed_at, history, "
                    "published_at, headers, payload) "
                    "SELECT worker_id, stream_id, CASE $1 WHEN 'open' THEN 1 WHEN 'replaying' THEN 2 ELSE 3 END, false, 1, $1, '', 'worker', '', '', '', "
                    "'', '', '', 'rejected', '', '', 1, now(), now(), '[]', now(), '[]', '' FROM cutover.workers, cutover.streams "
                    "WHERE worker = 'search-projector'",
                    {state});
  expiry.settled_before("w", "1 hour");
  CHECK(expiry.left_after_expiry("1 day") == 2);
  CHECK(expiry.db.value("SELECT string_agg(sequence::text, ' ' ORDER BY sequence) FROM cutover.marks") == "1 2");
}

TEST_CASE("compaction leaves one row for each class, side and block of sequences", "[ledger]") {
  TestDatabase db;
  db.query("SELECT cutover.stream_incarnation('S', '2026-01-01T00:00:00Z')");
  LedgerSession session(db, kWorker);
  for (int batch = 0; batch < 40; ++batch) {
    std::vector<LedgerEvent> events;
    for (int i = 0; i < 500; ++i) events.push_back(ledger_event(batch * 500 + i + 1));
    REQUIRE(session.work("S", 1, events) == std::string(500, 'a'));
  }
  CHECK(db.count("SELECT count(*) FROM cutover.settlements") == 40);
  // Nobody has said that the broker can hold no other event there; then somebody has, too early; then for the first half.
  CHECK(db.value("SELECT cutover.compact_settlements('0 s', 100)") == "0");
  settled_below(db, 20'001);
  CHECK(db.value("SELECT cutover.compact_settlements('1 hour', 100)") == "0");
  settled_below(db, 10'001, "monolith");
  while (db.count("SELECT cutover.compact_settlements('0 s', 7)") > 0) continue;
  CHECK(db.value("SELECT count(*) || ' ' || sum(upper(span) - lower(span)) FROM cutover.settlements WHERE event_hashes IS NULL") == "2 10000");
  CHECK(db.count("SELECT count(*) FROM cutover.settlements WHERE event_hashes IS NOT NULL") == 20);
  settled_below(db, 20'001, "monolith");
  while (db.count("SELECT cutover.compact_settlements('0 s', 7)") > 0) continue;
  // 20,000 sequences, 8,192 to a block.
  CHECK(db.value("SELECT count(*) || ' ' || sum(upper(span) - lower(span)) FROM cutover.settlements") == "3 20000");
  CHECK(session.work("S", 1, {ledger_event(1), ledger_event(8'192), ledger_event(20'000), ledger_event(20'001)}) == "===a");
}

TEST_CASE("notes about failures are forgotten when what they are about is settled, and not before", "[ledger]") {
  TestDatabase db;
  db.query("SELECT cutover.stream_incarnation('S', '2026-01-01T00:00:00Z')");
  LedgerSession session(db, kWorker);
  session.work("S", 1, {ledger_event(1), ledger_event(2)});
  auto note = [&](std::int64_t sequence, const std::string& shadow, const std::string& age) {
    db.query("INSERT INTO cutover.attempts (worker_id, stream_id, sequence, shadow, attempts, first_failed_at, last_failed_at) "
             "SELECT worker_id, stream_id, $1::bigint, $2::boolean, 1, now() - $3::interval, now() - $3::interval FROM cutover.workers, cutover.streams "
             "WHERE worker = 'search-projector'",
             {std::to_string(sequence), shadow, age});
  };
  auto started = [&](const std::string& instance, const std::string& sequences) {
    db.query("INSERT INTO cutover.started (instance, thread, worker_id, stream_id, sequences, alone, started_at) "
             "SELECT $1, 0, worker_id, stream_id, $2::bigint[], false, now() - interval '5 min' FROM cutover.workers, cutover.streams "
             "WHERE worker = 'search-projector'",
             {instance, sequences});
  };
  note(1, "false", "5 min");   // settled by another delivery
  note(2, "false", "1 s");     // too young to be sure
  note(2, "true", "5 min");    // not settled in shadow
  note(3, "false", "5 min");   // not settled
  note(4, "false", "40 days"); // gone from its stream
  started("a", "{1,2}");
  started("b", "{2,3}");
  db.query("SELECT cutover.forget_settled('1 min')");
  CHECK(db.value("SELECT string_agg(sequence || ' ' || shadow, ', ' ORDER BY sequence, shadow) FROM cutover.attempts") == "2 false, 2 true, 3 false");
  CHECK(db.value("SELECT string_agg(instance, ' ') FROM cutover.started") == "b");
}

TEST_CASE("the steps of the runtime's upkeep move marks and forget event ids by themselves", "[ledger]") {
  TestDatabase db;
  db.query("SELECT cutover.stream_incarnation('S', '2026-01-01T00:00:00Z')");
  LedgerSession session(db, kWorker);
  std::vector<LedgerEvent> events;
  for (int i = 1; i <= 300; ++i) events.push_back(ledger_event(i));
  REQUIRE(session.work("S", 1, events) == std::string(300, 'a'));
  postgres::UpkeepOptions options;
  options.settlement_keep = std::chrono::milliseconds(0);
  options.slot_bytes_max = 1;
  options.rows_per_step = 100;
  postgres::LedgerUpkeep upkeep(db.options(), options), other(db.options(), options);
  settled_below(db, 301);
  int steps = 0;
  while (upkeep.step() && steps < 100) ++steps;
  CHECK(steps < 100);  // it comes to an end
  CHECK(db.count("SELECT count(*) FROM cutover.marks") == 300);
  CHECK(db.count("SELECT count(*) FROM cutover.settlements WHERE event_hashes IS NULL") == 1);
  while (other.step() && steps < 100) ++steps;  // it looks through the keys once, to find none expired
  CHECK(steps < 100);
  CHECK_FALSE(other.step());
  CHECK(session.work("S", 1, events) == std::string(300, '='));
}
