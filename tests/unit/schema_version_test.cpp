#include <fstream>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include "runtime/host/host.h"

TEST_CASE("the build needs the schema of its own last migration", "[schema]") {
  std::ifstream plan(CUTOVER_SOURCE_DIR "/migrations/sqitch.plan");
  REQUIRE(plan.good());
  int changes = 0;
  for (std::string line; std::getline(plan, line);)
    if (!line.empty() && line[0] != '%' && line[0] != '#' && line[0] != '@') ++changes;
  CHECK(cutover::kSchemaVersion == changes);
}
