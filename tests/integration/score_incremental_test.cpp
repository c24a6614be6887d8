#include <algorithm>
#include <cstdlib>

#include <catch2/catch_test_macros.hpp>

#include "score_rig.h"

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

}  // namespace cutover::test
