// Changes of ownership as SQL: segments, seize, incarnations, the operators' log, and who is refused.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "fixtures/ledger_session.h"
#include "runtime/engine/ports.h"

using namespace cutover;
using namespace cutover::test;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

constexpr const char* kWorker = "search-projector";

// An operator at stream S of one worker.
struct Operator {
  Operator() : flipper(db.options("operator")), worker(db, kWorker), monolith(db, kWorker, "monolith") {
    db.query("SELECT cutover.stream_incarnation('S', '2026-01-01T00:00:00Z')");
    flipper.connect();
  }
  void begin(bool locked = true, const std::string& isolation = "READ COMMITTED") {
    flipper.run("BEGIN ISOLATION LEVEL " + isolation);
    if (locked)
      flipper.run("SELECT pg_advisory_xact_lock(cutover.lock_class_worker(), worker_id) FROM cutover.workers WHERE worker = 'search-projector'");
  }
  // epoch, first sequence and whether the stream is behind
  std::string append(const std::string& mode, std::int64_t last, std::int64_t incarnation = 1, const std::string& of = kWorker, double percent = 0) {
    const std::string_view stream = "S";
    auto rows = flipper.run(R"sql(
SELECT epoch || ' ' || from_sequence || ' ' || behind FROM cutover.append_segments($1::text, $2::text, $3::double precision::numeric, 'me', 'because',
  $4::text[], $5::bigint[]::integer[], $6::bigint[]))sql",
                            {std::string_view(of), std::string_view(mode), percent, std::span(&stream, 1), std::span(&incarnation, 1), std::span(&last, 1)});
    return std::string(rows->text(0, 0));
  }
  std::string flip(const std::string& mode, std::int64_t last) {
    begin();
    const std::string answer = append(mode, last);
    flipper.run("COMMIT");
    return answer;
  }
  // How many of the events the segment of this epoch took back.
  std::int64_t seize(std::int64_t epoch, const std::vector<LedgerEvent>& events) {
    std::vector<std::int64_t> sequences;
    std::vector<std::string_view> ids, keys, subjects, headers, payloads;
    for (const LedgerEvent& event : events) {
      sequences.push_back(event.sequence);
      ids.push_back(event.event_id);
      keys.push_back(event.key);
      subjects.push_back("test.thing_done");
      headers.push_back(R"({"traceparent": "00-a"})");
      payloads.push_back("{}");
    }
    using Texts = std::span<const std::string_view>;
    return flipper.run(R"sql(
SELECT cutover.seize('search-projector', $1::bigint, 'S', 1, $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[]::jsonb[], $7::text[]::bytea[]))sql",
                       {epoch, std::span<const std::int64_t>(sequences), Texts(ids), Texts(subjects), Texts(keys), Texts(headers), Texts(payloads)})
        ->integer(0, 0);
  }
  // SQLSTATE or the class of the refusal of what `call` runs.
  template <typename Call>
  std::string refusal(Call call) {
    std::string text = "none";
    try {
      call();
    } catch (const std::exception& e) {
      text = e.what();
    }
    flipper.rollback();
    return text;
  }
  TestDatabase db;
  postgres::Connection flipper;
  LedgerSession worker, monolith;
};

std::vector<LedgerEvent> events(std::int64_t from, std::int64_t to) {
  std::vector<LedgerEvent> all;
  for (std::int64_t sequence = from; sequence <= to; ++sequence) all.push_back(ledger_event(sequence));
  return all;
}

void write_letter(LedgerSession& session, const LedgerEvent& event) {
  session.connection.run(R"sql(
SELECT cutover.write_dead_letter('search-projector', 'worker', false, 'i-1', 'build', 'S', 1, $1::bigint, $2::text, 'test.thing_done', 'lane',
  'test.thing_done', $3::text, 'global', $4::text, 0, 'rejected', 'refused', 'refused', 1, NULL, now(), '[["traceparent", "00-b"]]', 'bytes'))sql",
                         {event.sequence, std::string_view(event.event_id), std::string_view(event.key),
                          std::string_view(event.mark).substr(event.mark.find('\x1f') + 1)});
}

}  // namespace

TEST_CASE("a segment begins after the stream's end and after all that was seen of it", "[ledger]") {
  Operator op;
  CHECK(op.flip("monolith", 0) == "1 1 false");
  CHECK(op.monolith.work("S", 1, events(1, 7)) == "aaaaaaa");
  CHECK(op.flip("worker", 9) == "2 10 false");
  CHECK(op.monolith.work("S", 1, events(10, 12)) == "sss");
  SECTION("a stream that ends before what was passed over is behind: only a reverse is possible") {
    op.begin();
    CHECK_THAT(op.refusal([&] { op.append("worker", 11); }), ContainsSubstring("12 of it was settled or passed over"));
    CHECK(op.flip("monolith", 11) == "3 13 true");
  }
  SECTION("many settled stretches are looked through by strides") {
    for (std::int64_t sequence = 13; sequence < 400; sequence += 3) op.worker.work("S", 1, events(sequence, sequence));
    op.worker.work("S", 1, events(70'000, 70'001));
    CHECK(op.db.value("SELECT cutover.highest_seen('search-projector', 'S', 1)") == "70001");
    CHECK(op.db.value("SELECT cutover.unsettled('search-projector', 'S', 1, 395, 400)") == "{[395,397),[398,401)}");
    CHECK(op.db.value("SELECT cutover.highest_seen('search-projector', 'T', 1)") == "0");
  }
}

TEST_CASE("a worker that worked without segments keeps what is below its first one", "[ledger]") {
  Operator op;
  SECTION("when it had begun") {
    CHECK(op.worker.work("S", 1, events(1, 2)) == "aa");
    CHECK(op.flip("monolith", 5) == "2 6 false");
    CHECK(op.worker.work("S", 1, events(3, 6)) == "aaas");
  }
  SECTION("and has nothing to keep when nobody asked before") {
    CHECK(op.flip("shadow", 5) == "1 6 false");
    CHECK(op.monolith.work("S", 1, events(1, 6)) == "aaaaaa");
  }
}

TEST_CASE("a change of ownership is refused without its lock, above READ COMMITTED, for strangers and other lives", "[ledger]") {
  Operator op;
  op.begin(false);
  CHECK_THAT(op.refusal([&] { op.append("monolith", 0); }), ContainsSubstring("exclusive lock of worker search-projector is not held"));
  op.begin(false);
  op.flipper.run("SELECT pg_advisory_xact_lock_shared(cutover.lock_class_worker(), worker_id) FROM cutover.workers WHERE worker = 'search-projector'");
  CHECK_THAT(op.refusal([&] { op.append("monolith", 0); }), ContainsSubstring("is not held"));
  op.begin();  // that of another worker
  CHECK_THAT(op.refusal([&] { op.append("monolith", 0, 1, "score-orchestrator"); }), ContainsSubstring("score-orchestrator is not held"));
  for (const std::string isolation : {"REPEATABLE READ", "SERIALIZABLE"}) {
    op.begin(true, isolation);
    CHECK_THAT(op.refusal([&] { op.append("monolith", 0); }), ContainsSubstring("needs READ COMMITTED"));
    op.begin(false, isolation);
    CHECK_THAT(op.refusal([&] { op.flipper.run("SELECT cutover.start_incarnation('S', '2026-02-01', 'me', 'because')"); }),
               ContainsSubstring("needs READ COMMITTED"));
  }
  op.begin();
  CHECK_THAT(op.refusal([&] { op.append("monolith", 0, 1, "nobody"); }), ContainsSubstring("unknown worker"));
  op.begin();
  CHECK_THAT(op.refusal([&] { op.append("monolith", 0, 2); }), ContainsSubstring("incarnation"));
  for (const auto& [mode, percent] : std::vector<std::pair<std::string, double>>{{"both", 0}, {"canary", 101}, {"canary", -1}, {"canary", 12.345}, {"worker", 5}}) {
    CAPTURE(mode, percent);
    op.begin();
    CHECK_THAT(op.refusal([&] { op.append(mode, 0, 1, kWorker, percent); }), ContainsSubstring("percent"));
  }
  op.begin(false);
  CHECK_THAT(op.refusal([&] { op.seize(1, events(1, 1)); }), ContainsSubstring("is not held"));
  op.begin();
  CHECK_THAT(op.refusal([&] { op.seize(1, events(1, 1)); }), ContainsSubstring("no segment of epoch 1"));
  op.begin(false);
  CHECK_THAT(op.refusal([&] { op.flipper.run("SELECT cutover.seize_replays('search-projector', 1)"); }), ContainsSubstring("is not held"));
  CHECK(op.db.count("SELECT count(*) FROM cutover.ownership") == 0);
}

TEST_CASE("a seize takes what the worker owns and nobody settled, once, and copies it", "[ledger]") {
  Operator op;
  op.flip("monolith", 0);
  op.flip("worker", 2);
  CHECK(op.worker.work("S", 1, events(4, 4)) == "a");
  op.begin();
  CHECK(op.append("monolith", 6) == "3 7 false");
  CHECK(op.seize(3, events(1, 8)) == 3);  // 1, 2 the monolith's, 4 settled, 7, 8 the new segment's
  CHECK(op.seize(3, events(1, 8)) == 0);
  op.flipper.run("COMMIT");
  CHECK(op.db.value("SELECT string_agg(message_id || ' ' || (headers ->> 'Cutover-Republished-From') || ' ' || (headers ->> 'Cutover-For') || ' ' || "
                    "(headers ->> 'traceparent'), ', ' ORDER BY outbox_id) FROM cutover.outbox") ==
        "seize:search-projector:3:S:3 S/1/3 search-projector 00-a, seize:search-projector:3:S:5 S/1/5 search-projector 00-a, "
        "seize:search-projector:3:S:6 S/1/6 search-projector 00-a");
  // The worker comes back and applies nothing; the copies' keys are free.
  CHECK(op.worker.work("S", 1, events(3, 6)) == "====");
  LedgerEvent copy = ledger_event(9);
  copy.mark = ledger_event(3).mark;
  CHECK(op.monolith.work("S", 1, {copy}) == "a");
}

TEST_CASE("a replay that is seized closes its letter and frees the mark that it holds", "[ledger]") {
  Operator op;
  op.flip("worker", 0);
  const LedgerEvent event = ledger_event(2);
  op.worker.begin();
  CHECK(op.worker.claim("S", 1, {event}).serving == "a");
  write_letter(op.worker, event);
  op.worker.settle("x");
  op.worker.commit();
  op.db.query("UPDATE cutover.dead_letters SET state = 'replaying', plan_id = 4");
  op.begin();
  op.append("monolith", 5);
  CHECK(op.flipper.run("SELECT cutover.seize_replays('search-projector', 2)")->integer(0, 0) == 1);
  CHECK(op.flipper.run("SELECT cutover.seize_replays('search-projector', 2)")->integer(0, 0) == 0);
  op.flipper.run("COMMIT");
  CHECK(op.db.value("SELECT state FROM cutover.dead_letters") == "seized");
  CHECK(op.db.value("SELECT (headers ->> 'traceparent') || ' ' || convert_from(payload, 'UTF8') FROM cutover.outbox WHERE message_id LIKE 'seize:%'") == "00-b bytes");
  LedgerEvent replayed = event;
  replayed.plan = 4;
  CHECK(op.worker.work("S", 1, {replayed}) == "=");
  LedgerEvent copy = ledger_event(6);
  copy.mark = event.mark;
  CHECK(op.monolith.work("S", 1, {copy}) == "a");
}

TEST_CASE("marks do not expire before the copies of a seize are settled", "[ledger]") {
  Operator op;
  op.flip("worker", 0);
  LedgerEvent copy = ledger_event(2);
  copy.mark = ledger_event(1).mark;
  CHECK(op.worker.work("S", 1, events(1, 1)) == "a");
  op.begin();
  op.append("monolith", 2);
  CHECK(op.seize(2, {copy}) == 1);
  op.flipper.run("COMMIT");
  op.db.query("SELECT cutover.rotate_marks(0)");
  op.db.query("SELECT cutover.merge_marks(10)");
  op.db.query("UPDATE cutover.marks SET marked_at = now() - interval '8 days'");
  auto settled_before = [&](const std::string& time) {
    op.db.query("INSERT INTO cutover.progress (worker_id, stream_id, side, settled_before) SELECT worker_id, stream_id, s, " + time +
                " FROM cutover.workers, cutover.streams, (VALUES ('w'::\"char\"), ('m')) v (s) WHERE worker = 'search-projector' "
                "ON CONFLICT (worker_id, stream_id, side) DO UPDATE SET settled_before = excluded.settled_before, at = now()");
  };
  auto left = [&] {
    op.db.query("SELECT cutover.expire_marks(NULL, 100, '7 days')");
    return op.db.count("SELECT count(*) FROM cutover.marks");
  };
  settled_before("now()");
  CHECK(left() == 1);  // the copy waits in the outbox
  op.db.query("UPDATE cutover.outbox SET published_at = now()");
  CHECK(left() == 1);  // published, and perhaps not settled
  settled_before("clock_timestamp()");
  CHECK(left() == 0);
}

TEST_CASE("a new life of a stream keeps each worker's mode and waits for no one of the old", "[ledger]") {
  Operator op;
  op.flip("monolith", 0);
  op.flip("worker", 4);
  CHECK(op.worker.work("S", 1, events(5, 6)) == "aa");
  CHECK(op.db.value("SELECT cutover.start_incarnation('S', '2026-01-01T00:00:00Z', 'me', 'because')") == "1");
  CHECK(op.db.value("SELECT cutover.start_incarnation('S', '2026-02-01T00:00:00Z', 'me', 'because')") == "2");
  CHECK(op.db.value("SELECT cutover.start_incarnation('S', '2026-02-01T00:00:00Z', 'me', 'because')") == "2");
  CHECK(op.worker.work("S", 2, {ledger_event(1, "new 1"), ledger_event(5, "new 5")}) == "aa");
  CHECK(op.db.value("SELECT epoch || ' ' || from_sequence || ' ' || mode FROM cutover.ownership ORDER BY epoch DESC LIMIT 1") == "3 0 worker");
  LedgerSession old(op.db, kWorker);
  old.begin();
  CHECK_THROWS_AS(old.claim("S", 1, events(7, 7)), ClaimRefused);
  old.rollback();
  CHECK_THROWS_MATCHES(op.db.query("SELECT cutover.start_incarnation('T', '2026-02-01', 'me', 'because')"), StatementError,
                       MessageMatches(ContainsSubstring("unknown stream")));
}

TEST_CASE("the operators' log and the segments are written once", "[ledger]") {
  Operator op;
  op.flip("monolith", 0);
  CHECK(op.db.value("SELECT cutover.log_operation('me', 'reverse', 'search-projector', '{\"seize\": true}', 'because', '{parity}', 'done', NULL)") == "1");
  CHECK(op.db.value("SELECT actor || ' ' || (login = session_user) || ' ' || forced::text FROM cutover.operator_log") == "me true {parity}");
  for (const std::string table : {"cutover.operator_log", "cutover.ownership"})
    for (const std::string& statement : {"UPDATE " + table + " SET actor = 'you'", "DELETE FROM " + table, "TRUNCATE " + table}) {
      CAPTURE(statement);
      CHECK_THROWS_MATCHES(op.db.query(statement), StatementError, MessageMatches(ContainsSubstring("append-only")));
    }
}
