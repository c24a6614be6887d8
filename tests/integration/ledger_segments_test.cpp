// Who owns an event: segments of cutover.ownership as claim reads them, for both sides and for shadow.
#include <catch2/catch_test_macros.hpp>

#include "fixtures/ledger_session.h"
#include "runtime/engine/ports.h"
#include "runtime/policy/segments.h"

using namespace cutover;
using namespace cutover::test;

namespace {

constexpr const char* kWorker = "search-projector";

struct Owned {
  Owned() { db.query("SELECT cutover.stream_incarnation('S', '2026-01-01T00:00:00Z')"); }
  void segment(int epoch, std::int64_t from, const std::string& mode, const std::string& percent = "0") {
    db.query("INSERT INTO cutover.ownership (worker_id, epoch, stream_id, from_sequence, mode, percent, actor, reason) "
             "SELECT worker_id, $1::bigint, stream_id, $2::bigint, $3, $4::numeric, 'test', 'test' FROM cutover.workers, cutover.streams "
             "WHERE worker = 'search-projector' AND stream = 'S'",
             {std::to_string(epoch), std::to_string(from), mode, percent});
  }
  // What claim answers without anything being kept.
  LedgerSession::Answer look(LedgerSession& side, const std::vector<LedgerEvent>& events) {
    side.begin();
    LedgerSession::Answer answer = side.claim("S", 1, events);
    side.rollback();
    return answer;
  }
  TestDatabase db;
};

std::vector<LedgerEvent> events(std::int64_t from, std::int64_t to) {
  std::vector<LedgerEvent> all;
  for (std::int64_t sequence = from; sequence <= to; ++sequence) all.push_back(ledger_event(sequence));
  return all;
}

}  // namespace

TEST_CASE("without a segment every event is the worker's", "[ledger]") {
  Owned owned;
  LedgerSession worker(owned.db, kWorker), monolith(owned.db, kWorker, "monolith");
  CHECK(owned.look(worker, events(1, 3)).serving == "aaa");
  CHECK(owned.look(worker, events(1, 3)).shadow == "---");
  CHECK(owned.look(monolith, events(1, 3)).serving == "sss");
}

TEST_CASE("without a segment every event of a worker that leaves a monolith is the monolith's, as its first registration said", "[ledger]") {
  Owned owned;
  owned.db.query("SELECT cutover.register_worker('leaver', false, 'monolith')");
  owned.db.query("SELECT cutover.register_worker('leaver', false, 'worker')");
  LedgerSession worker(owned.db, "leaver"), monolith(owned.db, "leaver", "monolith");
  CHECK(owned.look(worker, events(1, 3)).serving == "sss");
  CHECK(owned.look(worker, events(1, 3)).shadow == "---");
  CHECK(owned.look(monolith, events(1, 3)).serving == "aaa");
}

TEST_CASE("what shadow sent is claimed for shadow only, in the period that it was sent in", "[ledger]") {
  Owned owned;
  owned.db.query("SELECT cutover.stream_incarnation('SHADOW', '2026-01-01T00:00:00Z')");
  // A new life of SHADOW needs nobody.
  CHECK(owned.db.value("SELECT cutover.stream_incarnation('SHADOW', '2026-01-02T00:00:00Z')") == "2");
  CHECK(owned.db.value("SELECT cutover.stream_incarnation('SHADOW', '2026-01-02T00:00:00Z')") == "2");
  LedgerSession worker(owned.db, kWorker), monolith(owned.db, kWorker, "monolith");
  const std::vector<LedgerEvent> sent = events(11, 13);
  const auto answer = [&](const std::string& periods, int claims = 1) {
    std::string said;
    worker.begin();
    for (int i = 0; i < claims; ++i) said = worker.claim_shadow("SHADOW", 2, sent, periods);
    worker.rollback();
    return said;
  };
  CHECK(answer("{0,1,2}") == "---");
  owned.segment(1, 3, "shadow");
  CHECK(answer("{0,1,2}") == "-a-");
  owned.segment(2, 5, "canary");
  CHECK(answer("{1,1,2}") == "aa-");
  CHECK(answer("{1,1,1}", 2) == "ddd");  // the first claim took the marks
  owned.segment(3, 7, "worker");
  CHECK(answer("{1,1,2}") == "---");
  owned.segment(4, 9, "shadow");
  CHECK(answer("{1,4,3}") == "-a-");
  // Nor is what an earlier period left in the streams.
  CHECK(owned.look(worker, events(1, 10)).shadow == "--------aa");
  CHECK(owned.look(worker, events(1, 10)).serving == "ssssssaass");

  // Marks and places of shadow; serving's know nothing of them.
  worker.begin();
  CHECK(worker.claim_shadow("SHADOW", 2, sent, "{4,4,4}") == "aaa");
  worker.settle("aaa", true);
  worker.commit();
  CHECK(answer("{4,4,4}") == "===");
  CHECK(owned.db.value("SELECT string_agg(side::text || class::text, ' ') FROM cutover.settlements") == "sa");
  CHECK(owned.look(monolith, sent).serving == "aaa");
  CHECK(owned.look(worker, sent).shadow == "ddd");  // the same keys, by a live lane
  worker.begin("REPEATABLE READ");
  CHECK_THROWS_AS(worker.claim_shadow("SHADOW", 2, sent, "{4,4,4}"), ClaimRefused);
  worker.rollback();
}

TEST_CASE("each mode gives every event to one side", "[ledger]") {
  Owned owned;
  LedgerSession worker(owned.db, kWorker), monolith(owned.db, kWorker, "monolith");
  owned.segment(1, 3, "monolith");
  owned.segment(2, 5, "shadow");
  owned.segment(3, 7, "worker");
  // 1 and 2 lie below every segment: the monolith's, as before there was a worker.
  CHECK(owned.look(worker, events(1, 8)).serving == "ssssssaa");
  CHECK(owned.look(worker, events(1, 8)).shadow == "----aa--");
  CHECK(owned.look(monolith, events(1, 8)).serving == "aaaaaass");
  CHECK(owned.look(monolith, events(1, 8)).shadow == "--------");
}

TEST_CASE("the segment of the highest epoch at or below a sequence decides", "[ledger]") {
  Owned owned;
  LedgerSession worker(owned.db, kWorker);
  owned.segment(1, 1, "worker");
  owned.segment(2, 5, "monolith");
  owned.segment(3, 3, "worker");  // appended later for an earlier sequence
  CHECK(owned.look(worker, events(1, 6)).serving == "aaaaaa");
  owned.segment(4, 6, "monolith");
  CHECK(owned.look(worker, events(1, 6)).serving == "aaaaas");
}

TEST_CASE("a canary divides by bucket, and the worker computes everything into shadow", "[ledger]") {
  Owned owned;
  LedgerSession worker(owned.db, kWorker), monolith(owned.db, kWorker, "monolith");
  owned.segment(1, 1, "canary", "12.34");
  std::string expected_worker, expected_monolith;
  const std::vector<LedgerEvent> all = events(1, 500);
  for (const LedgerEvent& event : all) {
    const bool ours = bucket(event.key) < 1234;
    expected_worker.push_back(ours ? 'a' : 's');
    expected_monolith.push_back(ours ? 's' : 'a');
  }
  CHECK(owned.look(worker, all).serving == expected_worker);
  CHECK(owned.look(worker, all).shadow == std::string(500, 'a'));
  CHECK(owned.look(monolith, all).serving == expected_monolith);
  CHECK(expected_worker.find('a') != std::string::npos);
}

TEST_CASE("a canary of 0 % is the monolith's and one of 100 % the worker's", "[ledger]") {
  Owned owned;
  LedgerSession worker(owned.db, kWorker);
  owned.segment(1, 1, "canary", "0");
  owned.segment(2, 101, "canary", "100");
  CHECK(owned.look(worker, events(1, 100)).serving == std::string(100, 's'));
  CHECK(owned.look(worker, events(101, 200)).serving == std::string(100, 'a'));
}

TEST_CASE("both sides share one ledger: a copy that falls to the other side is a duplicate", "[ledger]") {
  Owned owned;
  LedgerSession worker(owned.db, kWorker), monolith(owned.db, kWorker, "monolith");
  owned.segment(1, 1, "monolith");
  owned.segment(2, 10, "worker");
  LedgerEvent copy = ledger_event(10);
  copy.mark = ledger_event(1).mark;
  CHECK(monolith.work("S", 1, {ledger_event(1), copy}) == "as");
  CHECK(worker.work("S", 1, {ledger_event(1), copy}) == "=d");
  CHECK(monolith.work("S", 1, {ledger_event(1), copy}) == "==");
}

TEST_CASE("what a side skips is noted as its highest sequence by instance", "[ledger]") {
  Owned owned;
  LedgerSession one(owned.db, kWorker, "worker", "one"), two(owned.db, kWorker, "worker", "two");
  owned.segment(1, 1, "monolith");
  CHECK(one.work("S", 1, events(1, 4)) == "ssss");
  CHECK(two.work("S", 1, events(2, 3)) == "ss");
  CHECK(one.work("S", 1, events(3, 3)) == "s");
  CHECK(owned.db.value("SELECT string_agg(instance || ' ' || side::text || ' ' || sequence, ', ' ORDER BY instance) FROM cutover.skipped") ==
        "one w 4, two w 3");
  CHECK(owned.db.count("SELECT count(*) FROM cutover.settlements") == 0);
}

TEST_CASE("shadow has marks and settlements of its own", "[ledger]") {
  Owned owned;
  LedgerSession worker(owned.db, kWorker), monolith(owned.db, kWorker, "monolith");
  owned.segment(1, 1, "shadow");
  const std::vector<LedgerEvent> batch = events(1, 2);
  worker.begin();
  LedgerSession::Answer answer = worker.claim("S", 1, batch);
  CHECK(answer.serving == "ss");
  CHECK(answer.shadow == "aa");
  worker.settle("ar", true);
  worker.commit();

  // The monolith applies the same keys in its own ledger.
  CHECK(monolith.work("S", 1, batch) == "aa");
  LedgerEvent copy = ledger_event(3);
  copy.mark = ledger_event(1).mark;
  answer = owned.look(worker, {batch[0], batch[1], copy});
  CHECK(answer.serving == "==s");
  CHECK(answer.shadow == "=ad");

  SECTION("and a reused sequence shows in both") {
    answer = owned.look(worker, {ledger_event(1, "another event")});
    CHECK(answer.serving == "s");
    CHECK(answer.shadow == "u");
    CHECK(owned.look(monolith, {ledger_event(1, "another event")}).serving == "u");
  }
}

TEST_CASE("in a canary serving and shadow are settled each on its own", "[ledger]") {
  Owned owned;
  LedgerSession worker(owned.db, kWorker);
  owned.segment(1, 1, "canary", "100");
  worker.begin();
  CHECK(worker.claim("S", 1, events(1, 1)).serving == "a");
  worker.settle("a");
  worker.settle("r", true);
  worker.commit();
  const LedgerSession::Answer answer = owned.look(worker, events(1, 1));
  CHECK(answer.serving == "=");
  CHECK(answer.shadow == "a");
}
