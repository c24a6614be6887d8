// Workers that need order: versions of an aggregate are applied one after the other, by whichever side.
#include <catch2/catch_test_macros.hpp>

#include "fixtures/ledger_session.h"
#include "runtime/engine/ports.h"

using namespace cutover;
using namespace cutover::test;

namespace {

constexpr const char* kWorker = "dispute-processor";

struct Ordered {
  Ordered() : worker(db, kWorker), monolith(db, kWorker, "monolith") { db.query("SELECT cutover.stream_incarnation('S', '2026-01-01T00:00:00Z')"); }
  std::string versions() { return db.value("SELECT string_agg(key || ' ' || versions::text, ', ' ORDER BY key) FROM cutover.aggregates WHERE NOT shadow"); }
  std::string claim(const std::vector<LedgerEvent>& batch) {
    worker.begin();
    const std::string answer = worker.claim("S", 1, batch).serving;
    worker.rollback();
    return answer;
  }
  TestDatabase db;
  LedgerSession worker, monolith;
};

// Version of one case, as an event of its own.
LedgerEvent version(std::int64_t sequence, std::int64_t number, const std::string& key = "case") {
  LedgerEvent event = ledger_event(sequence, key + " version " + std::to_string(number));
  event.key = key;
  event.version = number;
  return event;
}

}  // namespace

TEST_CASE("a version waits for its predecessor, and is a duplicate once it was passed", "[ledger]") {
  Ordered o;
  CHECK(o.worker.work("S", 1, {version(1, 2), version(2, 1, "other")}) == "wa");
  CHECK(o.worker.work("S", 1, {version(3, 1)}) == "a");
  CHECK(o.worker.work("S", 1, {version(1, 2)}) == "a");
  LedgerEvent again = version(5, 2);
  again.mark = "global\x1f" "another key";
  CHECK(o.worker.work("S", 1, {again}) == "d");
  CHECK(o.versions() == "case {[1,3)}, other {[1,2)}");
  CHECK(o.db.count("SELECT count(*) FROM cutover.waiting") == 0);
}

TEST_CASE("a batch brings its own predecessors, in stream order", "[ledger]") {
  Ordered o;
  CHECK(o.claim({version(1, 1), version(2, 2), version(3, 4), version(4, 3)}) == "aawa");
  CHECK(o.worker.work("S", 1, {version(1, 1), version(2, 2), version(4, 3), version(5, 4)}) == "aaaa");
  CHECK(o.versions() == "case {[1,5)}");
}

TEST_CASE("a batch whose predecessor was not applied after all does not commit", "[ledger]") {
  Ordered o;
  o.worker.begin();
  REQUIRE(o.worker.claim("S", 1, {version(1, 1), version(2, 2)}).serving == "aa");
  CHECK_THROWS_AS(o.worker.settle("ra"), StatementError);
  o.worker.rollback();
  // Apart they do what they must.
  o.worker.begin();
  REQUIRE(o.worker.claim("S", 1, {version(1, 1)}).serving == "a");
  o.worker.settle("r");
  o.worker.commit();
  CHECK(o.worker.work("S", 1, {version(2, 2)}) == "w");
}

TEST_CASE("an open dead letter is no predecessor; a dropped one is", "[ledger]") {
  Ordered o;
  o.worker.begin();
  REQUIRE(o.worker.claim("S", 1, {version(1, 1)}).serving == "a");
  o.worker.settle("x");
  o.worker.commit();
  CHECK(o.worker.work("S", 1, {version(2, 2)}) == "w");
  o.db.query("SELECT cutover.pass_version('dispute-processor', 'case', 1)");
  CHECK(o.worker.work("S", 1, {version(2, 2)}) == "a");
  o.db.query("SELECT cutover.pass_version('dispute-processor', 'seeded', 41, true)");
  CHECK(o.worker.work("S", 1, {version(3, 42, "seeded")}) == "a");
}

TEST_CASE("both sides keep one order across a boundary", "[ledger]") {
  Ordered o;
  o.db.query("INSERT INTO cutover.ownership (worker_id, epoch, stream_id, from_sequence, mode, actor, reason) SELECT worker_id, e, stream_id, f, m, 'test', 'test' "
             "FROM cutover.workers, cutover.streams, (VALUES (1, 0, 'monolith'), (2, 2, 'worker')) v (e, f, m) WHERE worker = 'dispute-processor'");
  CHECK(o.worker.work("S", 1, {version(1, 1), version(2, 2)}) == "sw");
  CHECK(o.monolith.work("S", 1, {version(1, 1), version(2, 2)}) == "as");
  CHECK(o.worker.work("S", 1, {version(1, 1), version(2, 2)}) == "=a");
}

TEST_CASE("a side that owns nothing any more is asked once, below the boundary, before a gap is declared", "[ledger]") {
  Ordered o;
  const auto floor = [&](const std::string& side, std::int64_t below, const std::string& at) {
    o.db.query("SELECT cutover.note_settled_below('dispute-processor', $1, 'S', 1, $2::bigint)", {side, std::to_string(below)});
    o.db.query("UPDATE cutover.floors SET at = now() + $2::interval WHERE side = left($1, 1)::\"char\"", {side, at});
  };
  int epoch = 0;
  const auto segment = [&](std::int64_t from, const std::string& mode, const std::string& at) {
    o.db.query("INSERT INTO cutover.ownership (worker_id, epoch, stream_id, from_sequence, mode, actor, reason, at) "
               "SELECT worker_id, $1::bigint, stream_id, $2::bigint, $3, 'test', 'test', now() + $4::interval FROM cutover.workers, cutover.streams "
               "WHERE worker = 'dispute-processor' AND stream = 'S'",
               {std::to_string(++epoch), std::to_string(from), mode, at});
  };
  LedgerSession monolith(o.db, "dispute-processor", "monolith");
  const auto claim = [&] {
    monolith.begin();
    const std::string answer = monolith.claim("S", 1, {version(20, 2)}).serving;
    monolith.rollback();
    return answer;
  };
  segment(1, "worker", "-3 h");
  segment(10, "monolith", "-2 h");
  CHECK(monolith.work("S", 1, {version(20, 2)}) == "w");
  o.db.query("UPDATE cutover.waiting SET since = now() - interval '11 min'");
  floor("monolith", 30, "0 s");
  CHECK(claim() == "g");               // the worker never said anything
  floor("worker", 9, "-1 h");          // it died over sequence 9
  CHECK(claim() == "w");
  floor("worker", 9'000'000, "-150 min");  // it was through with what there was then
  CHECK(claim() == "w");
  floor("worker", 10, "-2 h");         // as a seize says, in the transaction of the segment
  CHECK(claim() == "g");
  segment(25, "shadow", "-90 min");    // still none of its own
  CHECK(claim() == "g");
  segment(26, "canary", "-80 min");
  CHECK(claim() == "w");
  segment(27, "monolith", "-70 min");
  CHECK(claim() == "w");
  floor("worker", 27, "-60 min");
  CHECK(claim() == "g");
  floor("monolith", 15, "0 s");        // the present owner is asked as ever
  CHECK(claim() == "w");
}

TEST_CASE("an event becomes a gap when all below it is settled and the limit passed", "[ledger]") {
  Ordered o;
  auto floor = [&](const std::string& side, std::int64_t below) {
    o.db.query("SELECT cutover.note_settled_below('dispute-processor', $1, 'S', 1, $2::bigint)", {side, std::to_string(below)});
  };
  CHECK(o.worker.work("S", 1, {version(7, 2)}) == "w");
  o.db.query("UPDATE cutover.waiting SET since = now() - interval '11 min'");
  CHECK(o.claim({version(7, 2)}) == "w");  // nobody has said how far it is
  floor("worker", 7);
  CHECK(o.claim({version(7, 2)}) == "g");
  floor("monolith", 5);  // it may still hold the predecessor
  CHECK(o.claim({version(7, 2)}) == "w");
  floor("monolith", 9'000'000'000);
  CHECK(o.claim({version(7, 2)}) == "g");
  o.db.query("UPDATE cutover.waiting SET since = now() - interval '9 min'");
  CHECK(o.claim({version(7, 2)}) == "w");  // too early
  o.db.query("UPDATE cutover.workers SET gap_limit = '0 s'");
  CHECK(o.claim({version(7, 2)}) == "g");
  // A gap takes the mark for its letter: a copy is a duplicate.
  LedgerEvent copy = version(8, 2);
  copy.event_id = ledger_event(8).event_id;
  o.worker.begin();
  CHECK(o.worker.claim("S", 1, {version(7, 2)}).serving == "g");
  o.worker.settle("x");
  o.worker.commit();
  CHECK(o.claim({copy}) == "w");
  CHECK(o.worker.work("S", 1, {copy}) == "w");
  floor("worker", 8);
  CHECK(o.claim({copy}) == "w");  // what the monolith said is older than the wait
  floor("monolith", 9'000'000'000);
  CHECK(o.claim({copy}) == "d");
}

TEST_CASE("workers without order never look at versions", "[ledger]") {
  Ordered o;
  LedgerSession search(o.db, "search-projector");
  CHECK(search.work("S", 1, {version(1, 9), version(2, 3)}) == "aa");
  CHECK(o.db.count("SELECT (SELECT count(*) FROM cutover.aggregates) + (SELECT count(*) FROM cutover.waiting)") == 0);
}

TEST_CASE("shadow keeps an order of its own, seeded from serving", "[ledger]") {
  Ordered o;
  o.db.query("INSERT INTO cutover.ownership (worker_id, epoch, stream_id, from_sequence, mode, actor, reason) SELECT worker_id, e, stream_id, f, m, 'test', 'test' "
             "FROM cutover.workers, cutover.streams, (VALUES (1, 0, 'monolith'), (2, 2, 'shadow')) v (e, f, m) WHERE worker = 'dispute-processor'");
  CHECK(o.monolith.work("S", 1, {version(1, 1), version(2, 2)}) == "aa");
  o.worker.begin();
  CHECK(o.worker.claim("S", 1, {version(2, 2)}).shadow == "w");
  o.worker.commit();
  o.db.query("SELECT cutover.seed_shadow_versions('dispute-processor')");
  o.worker.begin();
  CHECK(o.worker.claim("S", 1, {version(2, 2), version(3, 3)}).shadow == "da");
  o.worker.rollback();
}

TEST_CASE("an event that waited in an earlier life of the stream is applied in the new one", "[ledger]") {
  Ordered o;
  CHECK(o.worker.work("S", 1, {version(2, 2)}) == "w");
  o.db.query("SELECT cutover.start_incarnation('S', '2026-02-01', 'me', 'because')");
  // Both were published again; the relay keeps no row of them any more.
  CHECK(o.worker.work("S", 2, {version(1, 1), version(2, 2)}) == "aa");
}

TEST_CASE("a claim reads the aggregates of its batch, however many there are and however many events wait", "[ledger]") {
  Ordered o;
  // The plans are made while the tables are small, and kept.
  for (int n = 1; n <= 8; ++n) o.worker.work("S", 1, {version(n, n), version(100 + n, 9, "waits " + std::to_string(n))});
  o.db.query("INSERT INTO cutover.aggregates SELECT worker_id, false, 'case ' || i, '{[1,5)}' FROM cutover.workers, generate_series(1, 5000) i "
             "WHERE worker = 'dispute-processor'");
  o.db.query("INSERT INTO cutover.waiting SELECT worker_id, stream_id, 1000 + i, false, i, 'case ' || i, 9 FROM cutover.workers, cutover.streams, "
             "generate_series(1, 5000) i WHERE worker = 'dispute-processor'");
  const auto rows_read = [&] {
    return o.worker.connection
        .run("SELECT coalesce(sum(idx_tup_fetch + seq_tup_read), 0)::bigint FROM pg_stat_xact_user_tables WHERE relname IN ('aggregates', 'waiting')")
        ->integer(0, 0);
  };
  o.worker.begin();
  const std::int64_t before = rows_read();
  REQUIRE(o.worker.claim("S", 1, {version(20, 9), version(21, 11), version(22, 1, "other")}).serving == "awa");
  o.worker.settle("a-a");
  CHECK(rows_read() - before < 50);
  o.worker.commit();
  CHECK(o.versions().find("case {[1,10)}") != std::string::npos);
}
