#include <algorithm>
#include <cstdlib>

#include <catch2/catch_test_macros.hpp>

#include "score_rig.h"
#include "workers/score/incremental.h"

namespace cutover::test {

TEST_CASE("an incremental equals a batch at the same t, bit for bit, whatever changed", "[score]") {
  const int worlds = std::getenv("CUTOVER_TEST_LONG") ? 40 : 4;
  for (int seed = 1; seed <= worlds; ++seed) {
    std::mt19937_64 random(static_cast<std::uint64_t>(seed));
    const int people = seed % 2 == 0 ? 40 : 150;
    ScoreWorld world;
    world.populate(random, people, seed % 2 == 0 ? 8 : 130);
    for (int step = 0; step < 4; ++step) {
      std::vector<std::int64_t> named;
      for (int change = 0; change < 3; ++change)
        for (const std::int64_t id : world.change_something(random, people)) named.push_back(id);
      const std::string at = "2026-06-01 12:00:0" + std::to_string(step) + "+00";
      world.hand.deliver({{naming(named), at}});
      world.hand.deliver({{kAll, at}});
      world.hand.work_off();
      INFO("seed " << seed << " step " << step);
      const std::string run = world.database.value("SELECT max(run_id) FROM serving.score_runs");
      const std::string updated = "as_of = '" + at + "' AND NOT gone";
      const auto batch = world.results(
          "serving.score_results",
          "run_id = " + run + " AND principal_id IN (SELECT principal_id FROM serving.score_updates WHERE " +
              updated + ")");
      CHECK(world.results("serving.score_updates", updated) == batch);
      CHECK(!batch.empty());
      // Those that are gone are in no run either.
      CHECK(world.database.count("SELECT count(*) FROM serving.score_results r JOIN serving.score_updates u "
                                 "USING (principal_id) WHERE u.gone AND u.as_of = '" +
                                 at + "' AND r.run_id = " + run) == 0);
    }
  }
}

TEST_CASE("an incremental leaves large neighbours to a batch, then all neighbours, then everybody",
          "[score]") {
  ScoreWorld world;
  world.change("INSERT INTO app.principals (principal_id) SELECT generate_series(1, 200)");
  world.change(
      "INSERT INTO app.profiles (owner_principal_id, profile_class) SELECT generate_series(1, 200), "
      "'single'");
  // 1 and 2 know each other; 3 knows everybody, 4 the first hundred.
  world.change(
      "INSERT INTO app.contacts (contact_id, owner_id, target_id, state, confidence) "
      "SELECT row_number() OVER (), a, b, 'active_confirmed', 0.9 FROM (VALUES (1, 2), (2, 1)) v (a, b) "
      "UNION ALL SELECT 1000 + i, 3, i, 'active_confirmed', 0.9 FROM generate_series(1, 200) i WHERE i <> 3 "
      "UNION ALL SELECT 2000 + i, 4, i, 'active_confirmed', 0.9 FROM generate_series(1, 100) i WHERE i NOT "
      "IN (3, 4)");
  const std::int64_t named[] = {1};
  const auto computed = [&](const score::IncrementalLimits& limits) {
    world.change("DELETE FROM serving.score_updates");
    world.change("DELETE FROM serving.score_runs");
    world.change("DELETE FROM cutover.outbox");
    Event cause;
    cause.event_name = "score.recompute_requested";
    cause.place = {"GRAPH", 1, 1};
    cause.occurred_at = world.hand.context().now();
    world.hand.context().in_transaction(false,
                                        [&](Transaction& tx) { score::recompute(tx, cause, named, limits); });
    return world.database.value(
        "SELECT coalesce((SELECT string_agg(principal_id::text, ' ' ORDER BY principal_id) FROM "
        "serving.score_updates), '-') || ', ' || "
        "(SELECT count(*) FROM serving.score_runs) || ' queued, said ' || (SELECT convert_from(payload, "
        "'UTF8')::jsonb -> 'payload' ->> "
        "'batch_queued' FROM cutover.outbox WHERE subject = 'score.incremental_computed')");
  };
  CHECK(computed({}) == "1 2 3 4, 0 queued, said false");
  CHECK(computed({.contacts = 400, .large = 150}) == "1 2 3 4, 0 queued, said false");
  CHECK(computed({.contacts = 250, .large = 150}) == "1 2 4, 1 queued, said true");
  CHECK(computed({.contacts = 250, .large = 1'000}) == "1, 1 queued, said true");
  CHECK(computed({.contacts = 50, .large = 150}) == "1, 1 queued, said true");
  CHECK(computed({.contacts = 5, .large = 150}) == "-, 1 queued, said true");
  CHECK(computed({.principals = 2}) == "1, 1 queued, said true");
}

}  // namespace cutover::test
