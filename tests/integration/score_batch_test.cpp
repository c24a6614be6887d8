#include <catch2/catch_test_macros.hpp>

#include "score_rig.h"
#include "workers/score/score_worker.h"

namespace cutover::test {
namespace {

// Two friends and somebody that nobody answers.
void small_world(ScoreWorld& world) {
  world.change("INSERT INTO app.principals (principal_id) VALUES (1), (2), (3)");
  world.change(
      "INSERT INTO app.profiles (owner_principal_id, profile_class) VALUES (1, 'single'), (2, 'employee'), "
      "(3, 'single')");
  world.change(
      "INSERT INTO app.contacts (contact_id, owner_id, target_id, state, confidence, first_seen_at, "
      "last_evidence_at) VALUES "
      "(11, 1, 2, 'active_confirmed', 0.9, '2026-01-01', '2026-05-31'), (12, 2, 1, 'active_confirmed', 0.8, "
      "'2026-01-01', '2026-05-31'), "
      "(13, 3, 1, 'active_probable', 0.8, '2026-01-01', '2026-05-31')");
}

}  // namespace

TEST_CASE("the figures that the watch compares are those of the newest run in a stretch of time", "[score]") {
  ScoreWorld world;
  small_world(world);
  world.hand.deliver({{kAll}});
  world.hand.work_off();
  const auto figures = score_orchestrator_spec().figures;
  REQUIRE(figures.size() == 2);
  const std::string mean = world.database.value("SELECT avg(score)::text FROM serving.scores");
  CHECK(std::stod(mean) > 0);
  CHECK(world.database.value("SELECT abs((" + figures[0].sql + ") - (SELECT avg(score) FROM serving.scores)) < 0.000001", {"2020-01-01", "2100-01-01"}) == "t");
  CHECK(world.database.value("SELECT (" + figures[1].sql + ") BETWEEN (SELECT min(score) FROM serving.scores) AND (SELECT max(score) FROM serving.scores)",
                             {"2020-01-01", "2100-01-01"}) == "t");
  for (const OutputFigure& figure : figures)
    CHECK(world.database.value("SELECT (" + figure.sql + ") IS NULL", {"2020-01-01", "2021-01-01"}) == "t");
}

TEST_CASE("a request for everything is settled at once, and its run publishes", "[score]") {
  ScoreWorld world;
  small_world(world);
  const auto verdicts = world.hand.deliver({{kAll}});
  CHECK(std::holds_alternative<Done>(verdicts.at(0)));
  CHECK(world.database.value("SELECT state FROM serving.score_runs") == "queued");
  CHECK(world.database.count("SELECT count(*) FROM serving.scores") == 0);
  world.hand.work_off();
  CHECK(world.database.value("SELECT state || ' ' || phase || ' ' || attempt || ' ' || principals || ' ' || "
                             "edges FROM serving.score_runs") == "published done 1 3 3");
  CHECK(world.database.count("SELECT count(*) FROM serving.scores WHERE as_of = '2026-06-01 12:00:00+00' AND "
                             "formula = 'v1.0' AND stream = 'GRAPH' "
                             "AND sequence = 1 AND stale_seconds >= 0") == 3);
  CHECK(world.database.count(
            "SELECT count(*) FROM cutover.outbox WHERE subject = 'score.snapshot_published'") == 1);
  CHECK(world.database.value("SELECT edges || ' ' || (quality > 0) || ' ' || (position > 0) FROM "
                             "serving.scores WHERE principal_id = 3") == "1 true false");
  CHECK(world.database.count("SELECT count(*) FROM serving.score_explanations WHERE cardinality(down) = 2") ==
        3);
}

TEST_CASE("requests join a run that has not read its inputs yet, the latest time counts", "[score]") {
  ScoreWorld world;
  small_world(world);
  world.hand.deliver({{kAll, "2026-06-01 12:00:00+00"}, {kAll, "2026-06-03 12:00:00+00"}});
  world.hand.deliver({{kAll, "2026-06-02 12:00:00+00"}});
  CHECK(world.database.value("SELECT requests || ' ' || (as_of = '2026-06-03 12:00:00+00') || ' ' || "
                             "sequence FROM serving.score_runs") == "3 true 2");
  // As if it were being worked on.
  world.change("UPDATE serving.score_runs SET state = 'running', read_at = now()");
  world.hand.deliver({{kAll, "2026-06-04 12:00:00+00"}});
  world.hand.deliver({{kAll, "2026-06-05 12:00:00+00"}});
  CHECK(world.database.count("SELECT count(*) FROM serving.score_runs") == 2);
  CHECK(world.database.value("SELECT requests FROM serving.score_runs WHERE state = 'queued'") == "2");
  world.hand.work_off();
  CHECK(world.database.count(
            "SELECT count(*) FROM serving.score_runs WHERE state = 'published' AND became_current") == 2);
}

TEST_CASE("a row that no score can be computed from stops the run and is named", "[score]") {
  for (const std::string bad : {"'NaN'", "'Infinity'", "'-Infinity'", "1.5", "-0.1"}) {
    ScoreWorld world;
    small_world(world);
    world.change("UPDATE app.contacts SET confidence = " + bad + " WHERE contact_id = 12");
    world.hand.deliver({{kAll}});
    world.hand.work_off();
    INFO(bad);
    CHECK(world.database.value("SELECT state FROM serving.score_runs") == "failed");
    CHECK(world.database.value("SELECT error FROM serving.score_runs")
              .find("contact_id 12 of owner_id 2 has confidence") != std::string::npos);
    CHECK(world.database.count("SELECT count(*) FROM serving.scores") == 0);
    const auto verdicts = world.hand.deliver({{naming({1})}});
    CHECK(std::get<DeadLetter>(verdicts.at(0)).reason.find("contact_id 12") != std::string::npos);
  }
}

TEST_CASE("an older run never replaces a newer one, and principals that are no longer eligible go",
          "[score]") {
  ScoreWorld world;
  small_world(world);
  world.hand.deliver({{kAll, "2026-06-02 12:00:00+00"}});
  world.hand.work_off();
  world.hand.deliver({{kAll, "2026-06-01 12:00:00+00"}});
  world.hand.work_off();
  CHECK(world.database.value(
            "SELECT string_agg(state || became_current, ' ' ORDER BY run_id) FROM serving.score_runs") ==
        "publishedtrue publishedfalse");
  CHECK(world.database.count("SELECT count(*) FROM serving.scores WHERE as_of = '2026-06-02 12:00:00+00'") ==
        3);
  CHECK(world.database.count("SELECT count(*) FROM serving.score_history") == 6);
  world.change("UPDATE app.principals SET status = 'restricted' WHERE principal_id = 3");
  world.hand.deliver({{kAll, "2026-06-03 12:00:00+00"}});
  world.hand.work_off();
  CHECK(world.database.count("SELECT count(*) FROM serving.scores") == 2);
}

TEST_CASE("an incremental that is newer than a run survives its publication", "[score]") {
  ScoreWorld world;
  small_world(world);
  world.hand.deliver({{kAll, "2026-06-01 12:00:00+00"}});
  world.hand.deliver({{naming({3}), "2026-06-02 12:00:00+00"}});
  const std::string newer = world.database.value("SELECT score FROM serving.scores WHERE principal_id = 3");
  world.hand.work_off();
  CHECK(world.database.value("SELECT score || ' ' || sequence FROM serving.scores WHERE principal_id = 3") ==
        newer + " 2");
  CHECK(world.database.count("SELECT count(*) FROM serving.scores WHERE run_id IS NOT NULL") ==
        1);  // 1 is a neighbour of 3
  // A later run counts again.
  world.hand.deliver({{kAll, "2026-06-03 12:00:00+00"}});
  world.hand.work_off();
  CHECK(world.database.count("SELECT count(*) FROM serving.scores WHERE run_id IS NOT NULL") == 3);
}

TEST_CASE("a principal without a score any more is gone at once", "[score]") {
  ScoreWorld world;
  small_world(world);
  world.hand.deliver({{kAll, "2026-06-01 12:00:00+00"}});
  world.hand.work_off();
  world.change("UPDATE app.principals SET status = 'restricted' WHERE principal_id = 3");
  world.hand.deliver({{naming({1, 3}), "2026-06-02 12:00:00+00"}});
  CHECK(world.database.count("SELECT count(*) FROM serving.scores WHERE principal_id = 3") == 0);
  CHECK(world.database.count("SELECT count(*) FROM serving.scores") == 2);
}

TEST_CASE("requests that name principals are merged, and say which they computed", "[score]") {
  ScoreWorld world;
  small_world(world);
  world.hand.deliver({{naming({3}), "2026-06-02 12:00:00+00"},
                      {R"({"scope":"some"})"},
                      {naming({2}), "2026-06-01 12:00:00+00"}});
  CHECK(world.database.count("SELECT count(*) FROM serving.score_updates WHERE as_of = '2026-06-02 "
                             "12:00:00+00' AND sequence = 1") == 3);
  CHECK(
      world.database.value(
          "SELECT convert_from(payload, 'UTF8')::jsonb -> 'payload' ->> 'principal_ids' FROM cutover.outbox "
          "WHERE subject = 'score.incremental_computed'") == "[1, 2, 3]");
}

TEST_CASE("a request that reaches too many principals recomputes the named ones and queues a batch",
          "[score]") {
  ScoreWorld world;
  small_world(world);
  world.change("INSERT INTO app.principals (principal_id) SELECT generate_series(100, 5200)");
  world.change(
      "INSERT INTO app.profiles (owner_principal_id, profile_class) SELECT generate_series(100, 5200), "
      "'single'");
  world.change(
      "INSERT INTO app.contacts (contact_id, owner_id, target_id, state, confidence) SELECT n, 1, n, "
      "'active_confirmed', 0.9 FROM generate_series(100, 5200) n");
  world.hand.deliver({{naming({1})}});
  CHECK(world.database.value("SELECT string_agg(principal_id::text, ' ') FROM serving.score_updates") == "1");
  CHECK(world.database.value("SELECT state FROM serving.score_runs") == "queued");
}

TEST_CASE("explanations are announced for whom they changed, once", "[score]") {
  ScoreWorld world;
  small_world(world);
  const auto announced = [&] {
    const auto rows = world.database.query(
        "WITH gone AS (DELETE FROM cutover.outbox RETURNING *) SELECT key FROM gone WHERE subject = "
        "'score.explanation_updated' ORDER BY key");
    std::string keys;
    for (const auto& row : rows.rows) keys += *row[0] + " ";
    return keys;
  };
  world.hand.deliver({{kAll, "2026-06-01 12:00:00+00"}});
  world.hand.work_off();
  CHECK(announced() == "");  // the first of all: score.snapshot_published says it
  world.change(
      "INSERT INTO app.trust_incidents (principal_id, kind, band, occurred_at) VALUES (2, 'dispute', 'hard', "
      "'2026-05-30')");
  world.hand.deliver({{kAll, "2026-06-01 12:00:01+00"}});
  world.hand.work_off();
  CHECK(announced() == "2 ");
  world.hand.deliver({{naming({2}), "2026-06-01 12:00:02+00"}});
  CHECK(announced() == "");
  world.change("UPDATE app.trust_incidents SET cleared_at = '2026-05-31'");
  world.hand.deliver({{naming({2}), "2026-06-01 12:00:03+00"}});
  CHECK(announced() == "2 ");
  world.hand.deliver({{kAll, "2026-06-01 12:00:04+00"}});
  world.hand.work_off();
  CHECK(announced() == "");
}

TEST_CASE("a request in shadow runs in shadow", "[score]") {
  ScoreWorld world;
  small_world(world);
  world.change(
      "INSERT INTO cutover.ownership (worker_id, epoch, stream_id, from_sequence, mode, actor, reason) "
      "SELECT w.worker_id, 1, s.stream_id, 0, "
      "'shadow', 'test', 'test' FROM cutover.workers w, cutover.streams s WHERE w.worker = "
      "'score-orchestrator' AND s.stream = 'GRAPH'");
  world.hand.deliver({{kAll}}, true);
  world.hand.deliver({{kAll}}, false);  // as if it had been claimed before the flip, which no flip allows
  world.hand.work_off();
  CHECK(world.database.count("SELECT count(*) FROM shadow.scores") == 3);
  CHECK(world.database.count("SELECT count(*) FROM serving.scores") == 0);
  CHECK(world.database.value("SELECT state || ': ' || error FROM serving.score_runs") ==
        "abandoned: the request is not the worker's any more");
  CHECK(world.database.count(
            "SELECT count(*) FROM cutover.outbox WHERE subject = 'shadow.score.snapshot_published'") == 1);
}

TEST_CASE("a publication waits for a flip, and an incremental does not wait for a batch", "[score]") {
  ScoreWorld world;
  small_world(world);
  world.hand.deliver({{kAll}});
  // A run that never ends, as far as others can see: its lock is held, its row is running.
  const auto busy = world.hand.context().open_bulk(false);
  REQUIRE(busy->try_lock("cutover score batch serving"));
  world.hand.work_off();
  CHECK(world.database.value("SELECT state FROM serving.score_runs") == "queued");
  world.hand.deliver({{naming({1})}});
  CHECK(world.database.count("SELECT count(*) FROM serving.scores") == 3);
}

TEST_CASE("a candidate formula runs beside the official one and is never current", "[score]") {
  ScoreWorld world;
  small_world(world);
  world.change(
      "INSERT INTO serving.score_formulas (formula, state, weights) VALUES ('v1.1', 'candidate', "
      "'{\"probable\": 0.9}')");
  world.hand.deliver({{kAll}});
  world.hand.work_off();
  CHECK(world.database.value("SELECT string_agg(formula || ' ' || state || ' ' || official || ' ' || "
                             "became_current, ', ' ORDER BY run_id) "
                             "FROM serving.score_runs") ==
        "v1.0 published true true, v1.1 published false false");
  CHECK(world.database.count("SELECT count(*) FROM serving.scores WHERE formula = 'v1.0'") == 3);
  CHECK(world.database.count("SELECT count(*) FROM serving.score_results") == 6);
}

}  // namespace cutover::test
