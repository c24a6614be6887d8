#include "runtime/cli/json_changes.h"

#include <catch2/catch_test_macros.hpp>

using namespace cutover::cli;

TEST_CASE("what differs between two documents is named by its path", "[json_changes]") {
  const auto changes = json_changes(R"({"a": 1, "b": {"c": [1, 2]}, "gone": true})",
                                    R"({"new": "x", "b": {"c": [1, 3]}, "a": 1})");
  REQUIRE(changes.size() == 3);
  CHECK((changes[0].path == "/new" && changes[0].before.empty() && changes[0].after == "\"x\""));
  CHECK((changes[1].path == "/b/c/1" && changes[1].before == "2" && changes[1].after == "3"));
  CHECK((changes[2].path == "/gone" && changes[2].before == "true" && changes[2].after.empty()));
  CHECK(json_changes(R"({"a":1})", R"({ "a" : 1 })").empty());
}

TEST_CASE("a text that is no JSON changes as a whole", "[json_changes]") {
  const auto changes = json_changes("{oops", "{}");
  REQUIRE(changes.size() == 1);
  CHECK((changes[0].path.empty() && changes[0].before == "{oops" && changes[0].after == "{}"));
}

TEST_CASE("layout changes white space only", "[json_changes]") {
  const std::string compact =
      R"({"a":1.10,"b":[],"c":[1e30,"x \" , : {"],"d":{"e":{}},"f":12345678901234567890123})";
  CHECK(indented_json(compact) == R"({
  "a": 1.10,
  "b": [],
  "c": [
    1e30,
    "x \" , : {"
  ],
  "d": {
    "e": {}
  },
  "f": 12345678901234567890123
})");
  CHECK(compact_json(indented_json(compact)) == compact);
  CHECK(indented_json("{oops") == "{oops");
}

TEST_CASE("a byte is found by line and column", "[json_changes]") {
  CHECK(line_and_column("ab\ncd", 0) == "line 1, column 1");
  CHECK(line_and_column("ab\ncd", 4) == "line 2, column 2");
  CHECK(line_and_column("ab", 9) == "line 1, column 3");
}
