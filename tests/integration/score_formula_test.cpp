#include <catch2/catch_test_macros.hpp>

#include "score_rig.h"
#include "workers/score/formula_watch.h"
#include "workers/score/run_view.h"
#include "workers/score/shadow_seed.h"
#include "workers/score/upkeep.h"

namespace cutover::test {
namespace {

class FormulaWorld {
 public:
  // `weights` of the candidate v2.
  explicit FormulaWorld(const std::string& weights) {
    std::mt19937_64 random(3);
    world.populate(random, 60, 12);
    world.change("INSERT INTO serving.score_formulas (formula, state, weights) VALUES ('v2', 'candidate', '" +
                 weights + "')");
    world.hand.deliver({{kAll, "2026-06-01 12:00:00+00"}});
    world.hand.work_off();
  }
  void in_transaction(const std::function<void(Transaction&)>& work) {
    world.hand.context().in_transaction(false, work);
  }
  std::string states() {
    return world.database.value(
        "SELECT string_agg(formula || ' ' || state, ', ' ORDER BY formula) FROM serving.score_formulas");
  }
  // Activates v2, computes with it, and looks `hours` later.
  void activate_and_look(int hours) {
    // Activating is an operator's.
    world.change("UPDATE serving.score_formulas SET state = 'retired' WHERE formula = 'v1.0'");
    world.change(
        "UPDATE serving.score_formulas SET state = 'active', previous = 'v1.0', activated_at = now() WHERE "
        "formula = 'v2'");
    world.hand.deliver({{kAll, "2026-06-01 12:00:01+00"}});
    world.hand.work_off();
    look_later(hours);
  }
  void look_later(int hours) {
    world.change("UPDATE serving.score_formulas SET activated_at = activated_at - interval '" +
                 std::to_string(hours) + " hours' WHERE formula = 'v2'");
    world.change("UPDATE serving.score_formula_checks SET activated_at = activated_at - interval '" +
                 std::to_string(hours) + " hours'");
    in_transaction([](Transaction& tx) { score::watch_formula(tx); });
  }

  ScoreWorld world;
};

}  // namespace

TEST_CASE("a formula that moves scores too far goes back by itself", "[score]") {
  FormulaWorld f(R"({"quality": 0.1, "trust": 0.4})");
  f.activate_and_look(0);
  CHECK(f.states() == "v1.0 retired, v2 active");  // not due yet
  f.look_later(1);
  CHECK(f.states() == "v1.0 active, v2 reverted");
  CHECK(f.world.database.value("SELECT hours || ' ' || reverted FROM serving.score_formula_checks") ==
        "1 true");
  CHECK(f.world.database.count(
            "SELECT count(*) FROM cutover.outbox WHERE subject = 'score.recompute_requested'") == 1);
  f.in_transaction([](Transaction& tx) { score::watch_formula(tx); });
  CHECK(f.states() == "v1.0 active, v2 reverted");
}

TEST_CASE("a formula that changes little stays, and is looked at five times", "[score]") {
  FormulaWorld f(R"({"circle_bonus": 0.04})");
  f.activate_and_look(1);
  for (const int later : {5, 18, 24, 24, 24}) f.look_later(later);
  CHECK(f.states() == "v1.0 retired, v2 active");
  CHECK(f.world.database.value(
            "SELECT string_agg(hours::text, ' ' ORDER BY hours) FROM serving.score_formula_checks") ==
        "1 6 24 48 72");
}

TEST_CASE("a formula with weights that cannot be does not run", "[score]") {
  FormulaWorld f(R"({"damped": 7})");
  CHECK(f.world.database.value("SELECT state || ': ' || error FROM serving.score_runs WHERE formula = 'v2'")
            .find("failed: score formula v2: weight damped is 7") == 0);
  CHECK(f.world.database.count("SELECT count(*) FROM serving.scores WHERE formula = 'v1.0'") > 0);
}

TEST_CASE("a candidate's run is reported against the run that it rode beside", "[score]") {
  FormulaWorld f(R"({"circle_bonus": 0.04})");
  f.in_transaction([](Transaction& tx) {
    CHECK(score::natural_opponent(tx, 2) == 1);
    CHECK(score::reported_run(tx, std::nullopt).run == 1);
    CHECK(score::reported_run(tx, 2).scores.size() == score::reported_run(tx, 1).scores.size());
    CHECK_THROWS_AS(score::reported_run(tx, 99), std::invalid_argument);
    const auto runs = score::runs_to_show(tx);
    CHECK(runs.size() == 1);
    CHECK(runs.at(0).state == "published");
  });
}

TEST_CASE("shadow begins with the scores of serving, and a run in shadow supersedes them", "[score]") {
  FormulaWorld f("{}");
  const auto copy = [&](std::int64_t limit) {
    for (std::optional<std::string> next = ""; next;)
      f.in_transaction([&](Transaction& tx) { next = score::copy_to_shadow(tx, *next, limit).next; });
  };
  copy(7);
  CHECK(f.world.results("shadow.scores", "true") == f.world.results("serving.scores", "true"));
  f.in_transaction([](Transaction& tx) { score::clear_shadow(tx); });
  CHECK(f.world.database.count("SELECT count(*) FROM shadow.scores") == 0);
}

TEST_CASE("what is older than 90 days is forgotten, the current run stays", "[score]") {
  FormulaWorld f("{}");
  f.world.hand.deliver({{naming({1}), "2026-05-01 12:00:00+00"}});
  f.world.change("UPDATE serving.score_runs SET finished_at = now() - interval '91 days'");
  f.world.change("UPDATE serving.score_updates SET as_of = '2020-01-01'");
  for (bool more = true; more;)
    f.in_transaction([&](Transaction& tx) { more = score::forget_old_scores(tx); });
  CHECK(f.world.database.value("SELECT string_agg(formula, ' ') FROM serving.score_runs") == "v1.0");
  CHECK(f.world.database.count("SELECT count(DISTINCT run_id) FROM serving.score_results") == 1);
  CHECK(f.world.database.count("SELECT count(*) FROM serving.score_updates") == 0);
}

}  // namespace cutover::test
