// cutover.claim and cutover.settle: what is applied, and what is recognised as done before.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <fstream>
#include <nlohmann/json.hpp>

#include "fixtures/event_draft.h"
#include "fixtures/ledger_session.h"
#include "runtime/engine/ports.h"

using namespace cutover;
using namespace cutover::test;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

constexpr const char* kWorker = "search-projector";

// A database in which stream S is known in its first life.
struct Ledger {
  Ledger() { db.query("SELECT cutover.stream_incarnation('S', '2026-01-01T00:00:00Z')"); }
  TestDatabase db;
  std::int64_t marks() {
    return db.count("SELECT (SELECT count(*) FROM cutover.marks) + (SELECT count(*) FROM cutover.marks_0) + (SELECT count(*) FROM cutover.marks_1)");
  }
  // Class, side and sequences of every settlement, in order.
  std::string settlements() {
    return db.value("SELECT coalesce(string_agg(class::text || side::text || sequences::text, ' ' ORDER BY span, class), '') FROM cutover.settlements");
  }
};

void write_letter(postgres::Connection& connection, const LedgerEvent& event, bool shadow = false) {
  connection.run(R"sql(
SELECT cutover.write_dead_letter($1::text, 'worker', $2::boolean, 'i-1', 'build', 'S', 1, $3::bigint, $4::text, 'test.thing_done', 'lane',
  'test.thing_done', $5::text, 'global', 'key', 0, 'rejected', 'refused', 'refused', 1, NULL, now(), '[]', ''::bytea))sql",
                 {std::string_view(kWorker), shadow, event.sequence, std::string_view(event.event_id), std::string_view(event.key)});
}

}  // namespace

TEST_CASE("an event that was settled is settled at every later claim", "[ledger]") {
  Ledger ledger;
  LedgerSession worker(ledger.db, kWorker);
  CHECK(worker.work("S", 1, {ledger_event(1), ledger_event(2)}) == "aa");
  CHECK(worker.work("S", 1, {ledger_event(1), ledger_event(2), ledger_event(3)}) == "==a");
  CHECK(ledger.marks() == 3);
  CHECK(ledger.settlements() == "aw{[1,3)} aw{[3,4)}");
}

TEST_CASE("a batch that rolls back leaves nothing", "[ledger]") {
  Ledger ledger;
  LedgerSession worker(ledger.db, kWorker);
  worker.begin();
  CHECK(worker.claim("S", 1, {ledger_event(1)}).serving == "a");
  worker.settle("a");
  worker.rollback();
  CHECK(ledger.marks() == 0);
  CHECK(ledger.settlements() == "");
  CHECK(worker.work("S", 1, {ledger_event(1)}) == "a");
}

TEST_CASE("the same key at another place is a duplicate, in a batch and across batches", "[ledger]") {
  Ledger ledger;
  LedgerSession worker(ledger.db, kWorker);
  const LedgerEvent first = ledger_event(1);
  LedgerEvent copy = ledger_event(2), later = ledger_event(9);
  copy.mark = later.mark = first.mark;
  CHECK(worker.work("S", 1, {first, copy}) == "ad");
  CHECK(worker.work("S", 1, {later}) == "d");
  CHECK(worker.work("S", 1, {first, copy, later}) == "===");
  CHECK(ledger.settlements() == "aw{[1,2)} dw{[2,3)} dw{[9,10)}");
}

TEST_CASE("a key of another tenant, another worker or without a mark is no duplicate", "[ledger]") {
  Ledger ledger;
  LedgerSession worker(ledger.db, kWorker), other(ledger.db, "score-orchestrator");
  const LedgerEvent first = ledger_event(1);
  LedgerEvent tenant = ledger_event(2);
  tenant.mark = "acme\x1f" + first.mark.substr(first.mark.find('\x1f') + 1);
  LedgerEvent unmarked = ledger_event(3);
  unmarked.mark.clear();
  CHECK(worker.work("S", 1, {first, tenant, unmarked}) == "aaa");
  CHECK(ledger.marks() == 2);
  CHECK(other.work("S", 1, {first}) == "a");
}

TEST_CASE("a mark that is taken back lets the next delivery try", "[ledger]") {
  Ledger ledger;
  LedgerSession worker(ledger.db, kWorker);
  const LedgerEvent retried = ledger_event(1);
  LedgerEvent copy = ledger_event(3);
  copy.mark = retried.mark;
  worker.begin();
  CHECK(worker.claim("S", 1, {retried, ledger_event(2), copy}).serving == "aad");
  worker.settle("ra-");
  worker.commit();
  CHECK(ledger.marks() == 1);
  CHECK(ledger.settlements() == "aw{[2,3)}");
  // Whichever of the two comes first is worked on.
  CHECK(worker.work("S", 1, {copy}) == "a");
  CHECK(worker.work("S", 1, {retried}) == "d");
}

TEST_CASE("a retry takes back its own mark and no other one", "[ledger]") {
  Ledger ledger;
  LedgerSession worker(ledger.db, kWorker);
  CHECK(worker.work("S", 1, {ledger_event(1)}) == "a");
  LedgerEvent copy = ledger_event(2);
  copy.mark = ledger_event(1).mark;
  worker.begin();
  CHECK(worker.claim("S", 1, {copy}).serving == "d");
  worker.settle("r");
  worker.commit();
  CHECK(ledger.marks() == 1);
}

TEST_CASE("what is not addressed takes no mark and is settled", "[ledger]") {
  Ledger ledger;
  LedgerSession worker(ledger.db, kWorker);
  LedgerEvent event = ledger_event(1);
  event.mark.clear();
  worker.begin();
  CHECK(worker.claim("S", 1, {event}).serving == "a");
  worker.settle("n");
  worker.commit();
  CHECK(ledger.marks() == 0);
  CHECK(ledger.settlements() == "nw{[1,2)}");
  CHECK(worker.work("S", 1, {event}) == "=");
}

TEST_CASE("a settled sequence with another event id is a new place, and both stay settled", "[ledger]") {
  Ledger ledger;
  LedgerSession worker(ledger.db, kWorker);
  CHECK(worker.work("S", 1, {ledger_event(1), ledger_event(2), ledger_event(3), ledger_event(5), ledger_event(6)}) == "aaaaa");
  const LedgerEvent reused = ledger_event(5, "another event");
  CHECK(worker.work("S", 1, {ledger_event(3), reused}) == "=u");
  CHECK(worker.work("S", 1, {reused}) == "=");
  CHECK(worker.work("S", 1, {ledger_event(5), ledger_event(6)}) == "==");
}

TEST_CASE("a reused sequence whose key was applied before is a duplicate", "[ledger]") {
  Ledger ledger;
  LedgerSession worker(ledger.db, kWorker);
  CHECK(worker.work("S", 1, {ledger_event(1), ledger_event(2)}) == "aa");
  LedgerEvent moved = ledger_event(1);  // the event of sequence 1, published again by its relay
  moved.sequence = 2;
  CHECK(worker.work("S", 1, {moved}) == "d");
}

TEST_CASE("a dead-lettered place stays settled until its own replay", "[ledger]") {
  Ledger ledger;
  LedgerSession worker(ledger.db, kWorker);
  LedgerEvent event = ledger_event(4);
  worker.begin();
  CHECK(worker.claim("S", 1, {event}).serving == "a");
  write_letter(worker.connection, event);
  worker.settle("x");
  worker.commit();
  CHECK(ledger.settlements() == "xw{[4,5)}");
  CHECK(worker.work("S", 1, {event}) == "=");
  LedgerEvent copy = ledger_event(7);
  copy.mark = event.mark;
  CHECK(worker.work("S", 1, {copy}) == "d");  // the letter keeps the mark

  event.plan = 12;
  CHECK(worker.work("S", 1, {event}) == "=");  // no such plan
  ledger.db.query("UPDATE cutover.dead_letters SET state = 'replaying', plan_id = 11");
  CHECK(worker.work("S", 1, {event}) == "=");  // of another plan
  ledger.db.query("UPDATE cutover.dead_letters SET plan_id = 12");

  SECTION("which fails again: the mark stays with the letter, and the next replay works") {
    worker.begin();
    CHECK(worker.claim("S", 1, {event}).serving == "a");
    worker.settle("r");
    worker.commit();
    CHECK(ledger.db.value("SELECT state FROM cutover.dead_letters") == "replaying");
    CHECK(worker.work("S", 1, {copy}) == "=");
  }
  CHECK(worker.work("S", 1, {event}) == "a");
  CHECK(ledger.db.value("SELECT state FROM cutover.dead_letters") == "replayed");
  CHECK(worker.work("S", 1, {event}) == "=");
  event.plan = 0;
  CHECK(worker.work("S", 1, {event}) == "=");
}

TEST_CASE("a replay of a letter whose key was applied meanwhile closes the letter", "[ledger]") {
  Ledger ledger;
  LedgerSession worker(ledger.db, kWorker);
  LedgerEvent event = ledger_event(4);
  worker.begin();
  worker.claim("S", 1, {event});
  write_letter(worker.connection, event);
  worker.settle("x");
  worker.commit();
  // As after `--to-owner`: the mark went away and another place holds the key.
  ledger.db.query("DELETE FROM cutover.marks_0");
  LedgerEvent copy = ledger_event(9);
  copy.mark = event.mark;
  CHECK(worker.work("S", 1, {copy}) == "a");
  ledger.db.query("UPDATE cutover.dead_letters SET state = 'replaying', plan_id = 5");
  event.plan = 5;
  CHECK(worker.work("S", 1, {event}) == "d");
  CHECK(ledger.db.value("SELECT state FROM cutover.dead_letters") == "replayed");
}

TEST_CASE("letters of an earlier life of the stream are replayed under theirs", "[ledger]") {
  Ledger ledger;
  LedgerSession worker(ledger.db, kWorker);
  LedgerEvent event = ledger_event(4);
  worker.begin();
  worker.claim("S", 1, {event});
  write_letter(worker.connection, event);
  worker.settle("x");
  worker.commit();
  ledger.db.query("INSERT INTO cutover.streams (stream, incarnation, created_at) VALUES ('S', 2, '2026-02-01')");
  ledger.db.query("UPDATE cutover.dead_letters SET state = 'replaying', plan_id = 5");
  CHECK(worker.work("S", 2, {ledger_event(4, "of the new life")}) == "a");
  event.plan = 5;
  CHECK(worker.work("S", 1, {event}) == "a");
}

TEST_CASE("a dead letter that is written twice is one letter with a longer history and one message", "[ledger]") {
  Ledger ledger;
  LedgerSession worker(ledger.db, kWorker);
  for (int i = 0; i < 2; ++i) {
    worker.begin();
    write_letter(worker.connection, ledger_event(4));
    worker.commit();
  }
  CHECK(ledger.db.value("SELECT jsonb_array_length(history) || ' ' || attempts FROM cutover.dead_letters") == "2 2");
  CHECK(ledger.db.count("SELECT count(*) FROM cutover.outbox WHERE subject = 'dlq.search-projector.lane'") == 1);
  // Shadow's letters and copies are its own.
  worker.begin();
  write_letter(worker.connection, ledger_event(4), true);
  worker.commit();
  CHECK(ledger.db.count("SELECT count(*) FROM cutover.dead_letters") == 2);
  CHECK(ledger.db.count("SELECT count(DISTINCT message_id) FROM cutover.outbox WHERE subject LIKE '%dlq.search-projector.lane'") == 2);
}

TEST_CASE("claim refuses what nobody may retry", "[ledger]") {
  Ledger ledger;
  auto refused = [&](LedgerSession& session, const std::string& stream, int incarnation, const std::string& isolation,
                     const std::string& text) {
    session.begin(isolation);
    CHECK_THROWS_MATCHES(session.claim(stream, incarnation, {ledger_event(1)}), ClaimRefused, MessageMatches(ContainsSubstring(text)));
    session.rollback();
  };
  LedgerSession worker(ledger.db, kWorker), stranger(ledger.db, "nobody"), wrong_side(ledger.db, kWorker, "both");
  refused(worker, "S", 1, "REPEATABLE READ", "READ COMMITTED");
  refused(worker, "S", 1, "SERIALIZABLE", "READ COMMITTED");
  refused(stranger, "S", 1, "READ COMMITTED", "unknown worker");
  refused(wrong_side, "S", 1, "READ COMMITTED", "unknown side");
  refused(worker, "S", 2, "READ COMMITTED", "incarnation");
  refused(worker, "T", 1, "READ COMMITTED", "incarnation");
  ledger.db.query("INSERT INTO cutover.streams (stream, incarnation, created_at) VALUES ('S', 2, '2026-02-01')");
  refused(worker, "S", 1, "READ COMMITTED", "incarnation");
  CHECK(ledger.marks() == 0);
  CHECK_THROWS_MATCHES(ledger.db.query("SELECT cutover.settle('search-projector', 'both', 'S', 2, '{1}', '{e}', '{k}', '{i}', '{NULL}', '{0}', 'a')"),
                       StatementError, MessageMatches(ContainsSubstring("unknown side")));
  CHECK(ledger.db.count("SELECT count(*) FROM cutover.settlements") == 0);
}

TEST_CASE("a stream with another creation time is refused by name", "[ledger]") {
  Ledger ledger;
  CHECK(ledger.db.value("SELECT cutover.stream_incarnation('S', '2026-01-01T00:00:00Z')") == "1");
  CHECK_THROWS_MATCHES(ledger.db.query("SELECT cutover.stream_incarnation('S', '2026-01-02T00:00:00Z')"), StatementError,
                       MessageMatches(ContainsSubstring("deleted and created anew")));
}

TEST_CASE("bucket() agrees with the shared vectors", "[ledger]") {
  TestDatabase db;
  std::ifstream file(CUTOVER_SOURCE_DIR "/tests/vectors/ownership.json");
  const nlohmann::json vectors = nlohmann::json::parse(file);
  CHECK(vectors.at("keys").size() > 50);
  for (const auto& vector : vectors.at("keys")) {
    const std::string key = vector[0];
    CAPTURE(key);
    CHECK(db.value("SELECT cutover.bucket($1)", {key}) == std::to_string(vector[2].get<int>()));
  }
  for (const auto& message : vectors.at("messages")) {
    CAPTURE(message.at("name"));
    CHECK(db.value("SELECT cutover.bucket($1)", {message.at("key").get<std::string>()}) == std::to_string(message.at("bucket").get<int>()));
  }
}
