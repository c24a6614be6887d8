#include "streams/topology.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "streams/stream_fields.h"
#include "streams/topology_plan.h"

using namespace cutover;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

// A directory of stream files that is gone with the test.
struct Files {
  fs::path path;

  Files() {
    std::string pattern = (fs::temp_directory_path() / "cutover-streams-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()));
    path = pattern;
  }
  ~Files() { fs::remove_all(path); }
  void write(const std::string& name, const std::string& text) {
    fs::create_directories((path / name).parent_path());
    std::ofstream(path / name) << text;
  }
  std::string refusal(const std::string& environment = "") {
    try {
      load_topology(path, environment);
    } catch (const TopologyError& error) {
      std::string what = error.what();
      CHECK(what.starts_with(path.string()));
      return what.substr(path.string().size());
    }
    return "accepted";
  }
};

const StreamFile& stream(const Topology& topology, const std::string& name) {
  auto found = std::find_if(topology.streams.begin(), topology.streams.end(),
                            [&](const StreamFile& file) { return file.name == name; });
  REQUIRE(found != topology.streams.end());
  return *found;
}

constexpr std::int64_t kDay = 86'400'000'000'000;

}  // namespace

TEST_CASE("the project's topology is as the specification's table has it", "[streams]") {
  Topology topology = load_topology(default_topology_directory());
  struct Row {
    const char* name;
    std::vector<std::string> subjects;
    const char* retention;
    std::int64_t days;
  };
  const std::vector<Row> table = {
      {"CONTACT", {"contact.>"}, "limits", 30},
      {"CORE",
       {"identity.>", "channel.>", "profile.>", "policy.>", "org.>", "security.>", "trust.>", "dispute.>"},
       "limits",
       14},
      {"DLQ", {"dlq.>"}, "limits", 0},
      {"GRAPH", {"graph.>", "score.recompute_requested"}, "limits", 7},
      {"REPLAY", {"replay.>"}, "workqueue", 0},
      {"SCORE",
       {"score.incremental_computed", "score.snapshot_published", "score.explanation_updated",
        "score.backfill_completed"},
       "limits",
       14},
      {"SEARCH", {"search.>"}, "limits", 3},
      {"SHADOW", {"shadow.>"}, "limits", 3},
  };
  REQUIRE(topology.streams.size() == table.size());
  for (const Row& row : table) {
    const json& config = stream(topology, row.name).config;
    INFO(row.name);
    CHECK(config["subjects"] == json(row.subjects));
    CHECK(config["retention"] == row.retention);
    CHECK(config["max_age"] == row.days * kDay);
    CHECK(config["storage"] == "file");
    CHECK(config["num_replicas"] == 1);
    CHECK(config["duplicate_window"] == 120'000'000'000);
  }
}

TEST_CASE("production only has more copies", "[streams]") {
  Topology base = load_topology(default_topology_directory());
  Topology production = load_topology(default_topology_directory(), "production");
  CHECK(production.environment == "production");
  REQUIRE(production.streams.size() == base.streams.size());
  for (std::size_t i = 0; i < base.streams.size(); ++i) {
    CHECK(production.streams[i].config["num_replicas"] == 3);
    json config = production.streams[i].config;
    config["num_replicas"] = 1;
    CHECK(config == base.streams[i].config);
  }
}

TEST_CASE("a bad file is named with its place and what to do", "[streams]") {
  Files files;
  files.write("A.json", R"({"name": "A", "subjects": ["a.>"]})");
  CHECK(files.refusal() == "accepted");
  struct Bad {
    const char* text;
    const char* says;
  };
  auto [text, says] = GENERATE(
      Bad{"{\n  \"name\": \"B\",\n  \"subjects\" [\"b\"]\n}", "/B.json: parse error at line 3, column 14"},
      Bad{"", "/B.json: parse error at line 1, column 1"}, Bad{"[]", "/B.json: must hold one JSON object"},
      Bad{R"({"subjects": ["b"]})", "/B.json: field name is missing; it must be B"},
      Bad{R"({"name": "C", "subjects": ["b"]})",
          "/B.json: field name is \"C\" but the file is called B.json"},
      Bad{R"({"name": "B"})", "/B.json: field subjects is missing"},
      Bad{R"({"name": "B", "subjects": []})",
          "/B.json: field subjects must be a list of at least one subject"},
      Bad{R"({"name": "B", "subjects": "b"})",
          "/B.json: field subjects must be a list of at least one subject"},
      Bad{R"({"name": "B", "subjects": ["b", 5]})", "/B.json: field subjects each subject must be a string"},
      Bad{R"({"name": "B", "subjects": ["b..c"]})", "/B.json: field subjects \"b..c\" is no subject"},
      Bad{R"({"name": "B", "subjects": ["b.>.c"]})", "/B.json: field subjects \"b.>.c\" is no subject"},
      Bad{R"({"name": "B", "subjects": ["b*"]})", "/B.json: field subjects \"b*\" is no subject"},
      Bad{R"({"name": "B", "subjects": ["b"], "max_agee": 1})",
          "/B.json: field max_agee is not a field of a stream"},
      Bad{R"({"name": "B", "subjects": ["b"], "max_age": "7d"})",
          "/B.json: field max_age must be a whole number of nanoseconds"},
      Bad{R"({"name": "B", "subjects": ["b"], "max_age": 604800})",
          "/B.json: field max_age is in nanoseconds"},
      Bad{R"({"name": "B", "subjects": ["b"], "max_msgs": -2})",
          "/B.json: field max_msgs must be a whole number, or -1"},
      Bad{R"({"name": "B", "subjects": ["b"], "num_replicas": 0})",
          "/B.json: field num_replicas must be a whole number from 1 to 5"},
      Bad{R"({"name": "B", "subjects": ["b"], "storage": "disk"})",
          "/B.json: field storage must be file or memory"},
      Bad{R"({"name": "B", "subjects": ["b"], "sealed": "no"})",
          "/B.json: field sealed must be true or false"},
      Bad{R"({"name": "B", "subjects": ["a.b"]})", "/B.json: field subjects: a.b overlaps with a.> of "});
  files.write("B.json", text);
  std::string refusal = files.refusal();
  INFO(refusal);
  CHECK(refusal.starts_with(says));
}

TEST_CASE("a bad overlay is named too", "[streams]") {
  Files files;
  files.write("A.json", R"({"name": "A", "subjects": ["a.>"], "num_replicas": 1, "max_msgs": 5})");
  files.write("good/A.json", R"({"name": "A", "num_replicas": 3, "max_msgs": null})");
  CHECK(stream(load_topology(files.path, "good"), "A").config ==
        json({{"name", "A"}, {"subjects", {"a.>"}}, {"num_replicas", 3}}));
  files.write("stray/B.json", R"({"name": "B", "num_replicas": 3})");
  CHECK(files.refusal("stray").starts_with("/stray/B.json: overrides a stream that has no file in "));
  files.write("wrong/A.json", R"({"name": "A", "num_replicas": 9})");
  CHECK(files.refusal("wrong").starts_with("/wrong/A.json: field num_replicas must be"));
  CHECK(files.refusal("missing").starts_with("/missing: cannot be read: "));
}

TEST_CASE("an empty or missing directory is an error, not an empty topology", "[streams]") {
  Files files;
  CHECK(files.refusal().starts_with(": holds no *.json file"));
  CHECK_THROWS_AS(load_topology(files.path / "none"), TopologyError);
}

TEST_CASE("subjects overlap where one message could match both", "[streams]") {
  CHECK(subjects_overlap("a", "a"));
  CHECK(subjects_overlap("a.>", "a.b"));
  CHECK(subjects_overlap("a.>", "a.b.c"));
  CHECK(subjects_overlap("a.*", "*.b"));
  CHECK(subjects_overlap(">", "x.y"));
  CHECK(subjects_overlap("a.*.c", "a.b.>"));
  CHECK_FALSE(subjects_overlap("a", "b"));
  CHECK_FALSE(subjects_overlap("a.>", "a"));
  CHECK_FALSE(subjects_overlap("a.*", "a.b.c"));
  CHECK_FALSE(subjects_overlap("a.b", "a.bc"));
  CHECK_FALSE(subjects_overlap("score.recompute_requested", "score.snapshot_published"));
}

TEST_CASE("what a change means is known before it is made", "[streams]") {
  auto effect = [](const char* field, const json& from, const json& to) {
    return judge_change(field, from, to).effect;
  };
  CHECK(effect("max_age", kDay, 2 * kDay) == FieldEffect::safe);
  CHECK(effect("max_age", kDay, 0) == FieldEffect::safe);
  CHECK(effect("max_age", 0, kDay) == FieldEffect::destructive);
  CHECK(effect("max_age", 2 * kDay, kDay) == FieldEffect::destructive);
  CHECK(effect("max_msgs", -1, 10) == FieldEffect::destructive);
  CHECK(effect("max_bytes", 10, -1) == FieldEffect::safe);
  CHECK(effect("max_bytes", 10, 9) == FieldEffect::destructive);
  CHECK(effect("max_msgs_per_subject", -1, 1) == FieldEffect::destructive);
  CHECK(effect("subjects", json::array({"a"}), json::array({"a", "b"})) == FieldEffect::safe);
  CHECK(effect("subjects", json::array({"a", "b"}), json::array({"b", "c"})) == FieldEffect::destructive);
  CHECK(effect("retention", "limits", "workqueue") == FieldEffect::impossible);
  CHECK(effect("storage", "file", "memory") == FieldEffect::impossible);
  CHECK(effect("deny_delete", true, false) == FieldEffect::impossible);
  CHECK(effect("deny_delete", false, true) == FieldEffect::safe);
  CHECK(effect("num_replicas", 1, 3) == FieldEffect::safe);
  CHECK(effect("num_replicas", 3, 1) == FieldEffect::destructive);
  CHECK(effect("duplicate_window", 2, 1) == FieldEffect::safe);
  CHECK(effect("description", "a", "b") == FieldEffect::safe);
}

TEST_CASE("the server's ways to say the same are no difference", "[streams]") {
  CHECK(same_value("max_msgs", -1, 0));
  CHECK(same_value("max_age", 0, json()));
  CHECK(same_value("subjects", json::array({"a", "b"}), json::array({"b", "a"})));
  CHECK(same_value("allow_direct", json(), false));
  CHECK(same_value("description", json(), ""));
  CHECK_FALSE(same_value("max_msgs", -1, 5));
  CHECK_FALSE(same_value("storage", "file", "memory"));
  CHECK_FALSE(same_value("allow_direct", json(), true));
}

TEST_CASE("a change reads as a sentence", "[streams]") {
  Change change{Change::Kind::update,  "CONTACT", "max_age", 30 * kDay, 7 * kDay, FieldEffect::destructive,
                "messages are deleted"};
  CHECK(to_text(change) == "CONTACT: max_age 30d -> 7d (destructive: messages are deleted)");
  change = {Change::Kind::update, "A", "max_msgs", 5, -1, FieldEffect::safe, ""};
  CHECK(to_text(change) == "A: max_msgs 5 -> unlimited");
  change = {Change::Kind::update, "A", "duplicate_window", 90'000'000'000, 1'500'000'000,
            FieldEffect::safe,    ""};
  CHECK(to_text(change) == "A: duplicate_window 90s -> 1500ms");
  change = {Change::Kind::create, "A", "", nullptr, {{"subjects", {"a.>"}}}, FieldEffect::safe, ""};
  CHECK(to_text(change) == "A: create for [\"a.>\"]");
  change = {Change::Kind::unmanaged, "X", "", json(), nullptr, FieldEffect::safe, ""};
  CHECK(to_text(change) == "X: is on the server but in no file; left alone");
}
