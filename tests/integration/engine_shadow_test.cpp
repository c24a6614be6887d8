// Segments in the engine: what it applies to serving, what it computes into shadow, what it leaves alone.
#include <catch2/catch_test_macros.hpp>

#include "fixtures/engine_rig.h"
#include "runtime/policy/segments.h"

using namespace cutover;
using namespace cutover::test;

namespace {

struct ShadowRig : EngineRig {
  explicit ShadowRig(BatchOptions options = {}) : EngineRig(options) {
    db.query("CREATE TABLE serving.effects (LIKE public.effects)");
    db.query("CREATE TABLE shadow.effects (LIKE public.effects)");
    script.emit = true;
    script.emit_name = "test.effect_noted";
    restart();
  }
  std::string counts() {
    return db.value("SELECT (SELECT count(*) FROM serving.effects) || ' serving, ' || (SELECT count(*) FROM shadow.effects) || ' shadow'");
  }
  std::vector<Message> batch(int count, const std::string& payload = "{}", std::uint64_t deliveries = 1) {
    std::vector<Message> messages;
    for (int n = 1; n <= count; ++n) messages.push_back(delivery(event(n, payload), static_cast<std::uint64_t>(n), deliveries));
    return messages;
  }
};

}  // namespace

TEST_CASE("what the monolith owns is acknowledged without work", "[engine]") {
  ShadowRig rig;
  rig.segment(1, 1, "monolith");
  rig.process(rig.batch(5));
  CHECK(rig.counts() == "0 serving, 0 shadow");
  CHECK(rig.batches.empty());
  CHECK(rig.source.acks() == 5);
  CHECK(rig.lane.metrics->not_owned.value() == 5);
  CHECK(rig.db.count("SELECT count(*) FROM cutover.settlements") == 0);
}

TEST_CASE("in shadow everything goes to schema shadow, and nothing to a live subject", "[engine]") {
  ShadowRig rig;
  rig.segment(1, 1, "shadow");
  rig.process(rig.batch(5));
  CHECK(rig.counts() == "0 serving, 5 shadow");
  CHECK(rig.source.acks() == 5);
  CHECK(rig.db.value("SELECT string_agg(DISTINCT subject, ' ') FROM cutover.outbox") == "shadow.test.effect_noted");
  CHECK(rig.db.value("SELECT side::text || class::text || sequences::text FROM cutover.settlements") == "sa{[1,6)}");
  rig.restart();
  rig.process(rig.batch(5, "{}", 2));
  CHECK(rig.counts() == "0 serving, 5 shadow");
}

TEST_CASE("dead letters of shadow stay in shadow", "[engine]") {
  ShadowRig rig;
  rig.segment(1, 1, "shadow");
  rig.process(rig.batch(1, R"({"do":"dead"})"));
  CHECK(rig.letter("shadow || ' ' || kind", 1) == "true rejected");
  CHECK(rig.db.value("SELECT subject FROM cutover.outbox") == "shadow.dlq.test-worker.main");
  CHECK(rig.lane.metrics->dead_lettered.value("rejected") == 0);
}

TEST_CASE("a failure in shadow is counted in shadow and leaves nothing behind when it is over", "[engine]") {
  ShadowRig rig;
  rig.segment(1, 1, "shadow");
  rig.process(rig.batch(1, R"({"do":"throw"})"));
  CHECK(rig.db.value("SELECT shadow::text || ' ' || attempts FROM cutover.attempts") == "true 1");
  CHECK(rig.source.answers(1).naks.size() == 1);
  rig.process(rig.batch(1, "{}", 2));
  CHECK(rig.counts() == "0 serving, 1 shadow");
  CHECK(rig.db.count("SELECT count(*) FROM cutover.attempts") == 0);
}

TEST_CASE("a canary serves its share and computes everything into shadow", "[engine]") {
  ShadowRig rig;
  rig.segment(1, 1, "canary", "40");
  int ours = 0;
  for (int n = 1; n <= 60; ++n) ours += bucket(ShadowRig::event(n).subject_id) < 4000;
  REQUIRE(ours > 0);
  REQUIRE(ours < 60);
  rig.process(rig.batch(60));
  CHECK(rig.counts() == std::to_string(ours) + " serving, 60 shadow");
  CHECK(rig.source.acks() == 60);
  CHECK(rig.db.count("SELECT count(*) FROM cutover.outbox WHERE subject = 'test.effect_noted'") == ours);
  CHECK(rig.db.count("SELECT count(*) FROM cutover.outbox WHERE subject = 'shadow.test.effect_noted'") == 60);
}

TEST_CASE("in a canary a retry in one ledger repeats nothing in the other", "[engine]") {
  ShadowRig rig;
  rig.segment(1, 1, "canary", "100");
  // The first call is for serving, the second for shadow: fails there once.
  rig.script.on_batch = [&](std::span<const Event>) {
    if (rig.batches.size() == 2) throw std::runtime_error("shadow tables are locked");
  };
  rig.restart();
  rig.process(rig.batch(1));
  CHECK(rig.counts() == "1 serving, 0 shadow");
  CHECK(rig.db.value("SELECT shadow::text || ' ' || attempts FROM cutover.attempts") == "true 1");
  CHECK(rig.source.answers(1).naks.size() == 1);
  rig.process(rig.batch(1, "{}", 2));
  CHECK(rig.counts() == "1 serving, 1 shadow");
  CHECK(rig.source.answers(1, 2).acks == 1);
  CHECK(rig.db.count("SELECT count(*) FROM cutover.attempts") == 0);
}

TEST_CASE("a suspect in shadow stays a suspect beside its attempts there, and leaves no row in the end", "[engine]") {
  ShadowRig rig;
  rig.segment(1, 1, "shadow");
  // As a process left it that died while it worked on the event alone, after a retry in shadow.
  for (const std::string shadow : {"false", "true"})
    rig.db.query("INSERT INTO cutover.attempts (worker_id, stream_id, sequence, shadow, attempts, lone_crashes, suspect, first_failed_at) "
                 "SELECT worker_id, stream_id, 1, $1::boolean, $1::boolean::integer, (NOT $1::boolean)::integer * 3, NOT $1::boolean, now() "
                 "FROM cutover.workers, cutover.streams WHERE worker = 'test-worker'",
                 {shadow});
  rig.process(rig.batch(2, "{}", 2));
  CHECK(rig.letter("kind", 1) == "crash_suspect");
  CHECK(rig.counts() == "0 serving, 1 shadow");
  CHECK(rig.db.count("SELECT count(*) FROM cutover.attempts") == 0);
}
