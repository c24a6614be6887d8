// What an operator does about scores on the command line, with the worker at work.
#include <cmath>
#include <fstream>
#include <iterator>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "fixtures/waiting.h"
#include "integration/score_servers.h"

using namespace cutover::test;
using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

namespace {

const std::string kPhase = R"(cutover_job_phase{job="batch",worker="score-orchestrator"})";

bool published(ScoreServers& servers, int runs) {
  return eventually([&] {
    return servers.database.count("SELECT count(*) FROM serving.score_runs WHERE state = 'published'") ==
           runs;
  });
}

std::string content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("trigger score asks for a batch, and with --wait returns when readers see it", "[cli][score]") {
  ScoreServers servers;
  const auto worker = servers.start_worker();
  const json asked = servers.ask({"trigger", "score", "--as-of", "2026-06-01T02:00:00Z", "--wait"});
  INFO(asked.dump(1));
  CHECK(asked["code"] == 0);
  CHECK(asked["published"] == true);
  CHECK(servers.database.count(
            "SELECT count(*) FROM serving.scores WHERE as_of = '2026-06-01 02:00+00' AND formula = 'v1.0'") ==
        40);
  CHECK(eventually([&] { return servers.sent("SCORE", "score.snapshot_published") == 1; }));

  const Ended second = servers.run({"trigger", "score"});
  CHECK(second.code == 0);
  CHECK_THAT(second.out, ContainsSubstring("requested a batch as of 20") && ContainsSubstring("(event "));
  CHECK(published(servers, 2));
  CHECK(servers.database.count("SELECT count(*) FROM serving.scores WHERE stale_seconds < 60") == 40);
}

TEST_CASE("trigger score says what is wrong: no time, a row that no score can be computed from",
          "[cli][score]") {
  ScoreServers servers;
  const Ended no_time = servers.run({"trigger", "score", "--as-of", "yesterday"});
  CHECK(no_time.code == 3);
  CHECK_THAT(no_time.err, ContainsSubstring(
                              "--as-of yesterday is no time. Do: write it in UTC, as 2026-01-31T02:00:00Z."));
  CHECK(servers.database.count("SELECT count(*) FROM cutover.outbox") == 0);

  const auto worker = servers.start_worker();
  servers.compute("2026-05-31T02:00:00Z");
  for (const std::string bad : {"NaN", "Infinity", "1.01"}) {
    servers.database.query("UPDATE app.contacts SET confidence = $1::text::float8 WHERE contact_id = 73",
                           {bad});
    const Ended failed = servers.run({"trigger", "score", "--as-of", "2026-06-01T02:00:00Z", "--wait"});
    CHECK(failed.code == 1);
    CHECK_THAT(failed.err,
               ContainsSubstring("failed: app.contacts: contact_id 73 of owner_id 7 has confidence") &&
                   ContainsSubstring("Do: correct the row and request the scores again"));
  }
  CHECK_THAT(servers.run({"status"}).out,
             ContainsSubstring("score run 4: failed") && ContainsSubstring("contact_id 73"));
  CHECK(servers.database.count("SELECT count(*) FROM serving.scores WHERE run_id = 1") == 40);
  servers.execute({"UPDATE app.contacts SET confidence = 0.5 WHERE contact_id = 73"});
  servers.compute("2026-06-01T02:00:00Z");
}

TEST_CASE("status shows how far a run is, when it is ready, and the one that waits", "[cli][score]") {
  ScoreServers servers;
  const auto worker = servers.start_worker();
  servers.compute("2026-06-01T02:00:00Z");
  StandstillAtStaging standstill(servers.database);
  servers.run({"trigger", "score", "--as-of", "2026-06-02T02:00:00Z"});
  REQUIRE(standstill.reached());
  const json working = servers.run_in_state("running");
  INFO(working.dump(1));
  CHECK(working["run"] == 2);
  CHECK(working["phase"] == "staging");
  CHECK(working["total"] == 40);
  // What staging took the last time.
  CHECK(
      working["eta_seconds"].get<double>() ==
      std::stod(servers.database.value("SELECT (summary -> 'milliseconds' ->> 'staging')::float8 / 1000 FROM "
                                       "serving.score_runs WHERE run_id = 1")));
  CHECK_THAT(servers.run({"status"}).out,
             ContainsSubstring("score run 2: running, staging 0 %, ready in about ") &&
                 ContainsSubstring("as of 2026-06-02 02:00:00+00, v1.0"));
  CHECK(metric(*worker, kPhase) == "3");
  // Two more requests share the next run.
  servers.run({"trigger", "score", "--as-of", "2026-06-03T02:00:00Z"});
  servers.run({"trigger", "score", "--as-of", "2026-06-04T02:00:00Z"});
  REQUIRE(eventually([&] {
    return servers.database.count("SELECT count(*) FROM serving.score_runs WHERE requests = 2") == 1;
  }));
  CHECK(servers.run_in_state("queued")["run"] == 3);
  CHECK(servers.ask({"status", "search-projector"})["score_runs"].empty());

  standstill.end();
  REQUIRE(published(servers, 3));
  CHECK(servers.run_in_state("published")["run"] == 3);
  CHECK(servers.run_in_state("running").is_null());
  CHECK(eventually([&] { return metric(*worker, kPhase) == "0"; }));
  CHECK(metric(*worker, R"(cutover_job_phase_seconds_count{job="batch",worker="score-orchestrator"})") ==
        "12");
}

TEST_CASE("score report shows how scores are spread and how they moved, as text, JSON and one HTML file",
          "[cli][score]") {
  ScoreServers servers;
  const Ended too_early = servers.run({"score", "report"});
  CHECK(too_early.code == 2);
  CHECK_THAT(too_early.err,
             ContainsSubstring("no score run was published yet. Do: `cutover status score-orchestrator`"));

  const auto worker = servers.start_worker();
  servers.compute("2026-06-01T02:00:00Z");
  CHECK(servers.ask({"score", "report"})["against"].is_null());
  servers.execute(
      {"INSERT INTO app.trust_incidents (principal_id, kind, band, occurred_at) VALUES (5, 'dispute', "
       "'hard', '2026-05-30')",
       "UPDATE app.principals SET status = 'restricted' WHERE principal_id = 40"});
  servers.compute("2026-06-01T03:00:00Z");

  const json report = servers.ask({"score", "report"});
  INFO(report.dump(1));
  CHECK(report["run"]["run"] == 2);
  CHECK(report["run"]["principals"] == 39);
  CHECK(std::abs(report["run"]["mean"].get<double>() -
                 std::stod(servers.database.value("SELECT avg(score) FROM serving.scores"))) < 1e-9);
  std::uint64_t counted = 0;
  for (const json& bin : report["run"]["histogram"]) counted += bin.get<std::uint64_t>();
  CHECK(counted == 39);
  CHECK(report["against"]["run"] == 1);
  CHECK(report["both"] == 39);
  CHECK(report["gone"] == 1);
  CHECK(report["moved"][3] == json{{"points", 20.0}, {"principals", 1}});
  CHECK(report["components"].size() == 4);
  CHECK(std::abs(report["components"][3]["largest_shift"].get<double>() + 0.5) < 1e-9);
  CHECK(servers.ask({"score", "report", "--run", "1", "--against", "2"})["new"] == 1);

  const std::string page = "score-report-test.html";
  const Ended text = servers.run({"score", "report", "--run", "2", "--html", page});
  CHECK(text.code == 0);
  CHECK_THAT(text.out, ContainsSubstring("in both 39, new 0, gone 1; shift of the mean -") &&
                           ContainsSubstring("moved by more points than 5: ") && ContainsSubstring("trust"));
  const std::string html = content(page);
  std::remove(page.c_str());
  CHECK_THAT(html, ContainsSubstring("<h1>Scores of run 2</h1>") && ContainsSubstring("fill='#2b6cb0'") &&
                       ContainsSubstring("fill='#dd6b20'") &&
                       ContainsSubstring("39 principals in both, 0 new, 1 gone") &&
                       ContainsSubstring("</html>"));
  CHECK_THAT(html, !ContainsSubstring("http") && !ContainsSubstring("src="));

  const Ended no_run = servers.run({"score", "report", "--run", "99"});
  CHECK(no_run.code == 2);
  CHECK_THAT(no_run.err, ContainsSubstring("there is no published score run 99. Do: "));
  CHECK(servers.run({"score", "report", "--run", "1", "--against", "99"}).code == 2);
  const Ended no_folder = servers.run({"score", "report", "--html", "no/such/folder/x.html"});
  CHECK(no_folder.code == 3);
  CHECK_THAT(no_folder.err, ContainsSubstring("cannot write no/such/folder/x.html. Do: "));
  CHECK(servers.run({"score", "report", "--run", "two"}).code == 3);
}

TEST_CASE("score activate makes a candidate the formula, and refuses what is none", "[cli][score]") {
  ScoreServers servers;
  servers.execute(
      {"INSERT INTO serving.score_formulas (formula, state, weights) VALUES ('v1.1', 'candidate', "
       "'{\"circle_bonus\": 0.04}'), "
       "('v1.2', 'candidate', '{\"quality\": 0.9}')"});
  const auto worker = servers.start_worker();
  servers.compute("2026-06-01T02:00:00Z");
  REQUIRE(published(servers, 2));  // v1.2 cannot be computed
  const json beside = servers.ask({"score", "report", "--run", "2"});
  CHECK(beside["run"]["formula"] == "v1.1");
  CHECK(beside["against"]["formula"] == "v1.0");
  CHECK(servers.database.count("SELECT count(*) FROM serving.scores WHERE formula = 'v1.0'") == 40);

  const auto refusal = [&](const std::string& formula) {
    const Ended ended = servers.run({"score", "activate", formula, "--reason", "a test"});
    CHECK(ended.code == 1);
    return ended.err;
  };
  CHECK_THAT(
      refusal("v9"),
      ContainsSubstring("score formula v9 does not exist. Do: serving.score_formulas lists the versions."));
  CHECK_THAT(refusal("v1.0"), ContainsSubstring("score formula v1.0 is active, not a candidate"));
  CHECK_THAT(refusal("v1.2"),
             ContainsSubstring("score formula v1.2: quality, position, stability and trust sum up to 1.5"));
  CHECK(servers.run({"score", "activate", "v1.1"}).code == 3);  // no reason
  const Ended done = servers.run({"score", "activate", "v1.1", "--reason", "its report is fine"});
  CHECK(done.code == 0);
  CHECK_THAT(done.out, ContainsSubstring("score formula v1.1 is active; a batch was asked for."));
  CHECK(eventually([&] {
    return servers.database.count("SELECT count(*) FROM serving.scores WHERE formula = 'v1.1'") == 40;
  }));
  CHECK(servers.database.value("SELECT string_agg(formula || ' ' || state || ' ' || coalesce(previous, '-'), "
                               "', ' ORDER BY formula) "
                               "FROM serving.score_formulas") ==
        "v1.0 retired -, v1.1 active v1.0, v1.2 candidate -");
  CHECK(servers.database.value("SELECT reason FROM serving.score_formulas WHERE formula = 'v1.1'") ==
        "its report is fine");
}
