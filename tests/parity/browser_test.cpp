#include <catch2/catch_test_macros.hpp>

#include <cstdlib>
#include <fstream>

#include "parity/parity_world.h"

namespace cutover::test {
namespace {

using nlohmann::json;

// Loads the report in a frame and writes what can be seen of it into #seen. (The report itself has no script
// and allows none.)
constexpr const char* kProbe = R"html(<!DOCTYPE html><meta charset="utf-8">
<iframe id="frame" src="report.html" style="width:1100px;height:6000px;border:0"></iframe><pre id="seen"></pre>
<script>
const frame = document.getElementById('frame');
frame.onload = () => {
  const page = frame.contentDocument;
  const visible = (selector) => [...page.querySelectorAll(selector)].filter((e) => {
    const box = e.getBoundingClientRect(), style = frame.contentWindow.getComputedStyle(e);
    return box.width > 8 && box.height > 8 && style.visibility === 'visible' && style.display !== 'none' && style.opacity !== '0';
  }).length;
  const verdict = page.getElementById('verdict');
  document.getElementById('seen').textContent = JSON.stringify({
    verdict: verdict.textContent, verdict_background: frame.contentWindow.getComputedStyle(verdict).backgroundColor,
    verdicts: visible('#verdict'), serving: visible('svg.histogram path.serving'), worker: visible('svg.histogram path.worker'),
    counts: visible('table.counts tr'), groups: visible('table.groups tr'), differences: visible('section.difference'),
    differing_fields: visible('tr.differs'), matrix: visible('table.matrix td'),
    statistics: page.body.innerText.includes('Paired mean'), commands: visible('section.difference pre'),
    fetched: frame.contentWindow.performance.getEntriesByType('resource').length,
    wider_than_page: page.documentElement.scrollWidth > page.documentElement.clientWidth,
    broken: page.body.textContent.includes('undefined') || page.body.textContent.includes('NaN')});
};
</script>)html";

std::string browser() {
  for (const char* name : {"chromium", "chromium-browser", "google-chrome"}) {
    // Where it only comes as a snap there may be a program of that name that starts nothing.
    const Ended found =
        run({"/bin/sh", "-c", std::string(name) + " --version >/dev/null 2>&1 && command -v " + name});
    if (found.code == 0) return found.out.substr(0, found.out.find('\n'));
  }
  return {};
}

std::vector<std::string> headless(const std::string& program, const std::string& profile,
                                  std::vector<std::string> more) {
  std::vector<std::string> command = {
      program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
      "--disable-dev-shm-usage", "--allow-file-access-from-files", "--enable-logging=stderr",
      // No name resolves and no address is reached: whatever wants the network fails.
      "--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:1", "--virtual-time-budget=4000",
      "--user-data-dir=" + profile};
  command.insert(command.end(), more.begin(), more.end());
  return command;
}

// What is seen of the world's report, with what the browser said as "err".
json look_at(const ParityWorld& world, const std::string& program) {
  std::ofstream(world.out / "probe.html") << kProbe;
  const std::string profile = world.out.string() + "-profile";
  const Ended shown =
      run(headless(program, profile, {"--dump-dom", "file://" + (world.out / "probe.html").string()}));
  if (const char* keep = std::getenv("CUTOVER_TEST_SCREENSHOT"))
    run(headless(program, profile,
                 {"--window-size=1120,3000", std::string("--screenshot=") + keep,
                  "file://" + (world.out / "report.html").string()}));
  std::filesystem::remove_all(profile);
  INFO(shown.err);
  REQUIRE(shown.code == 0);
  const auto begin = shown.out.find("<pre id=\"seen\">{");
  REQUIRE(begin != std::string::npos);
  json seen = json::parse(shown.out.substr(begin + 15, shown.out.find("</pre>", begin) - begin - 15));
  seen["err"] = shown.err;
  return seen;
}

// No network, no script error, nothing broken or cut off, one verdict with its colour.
void check_different(const json& seen) {
  CHECK(seen["verdict"] == "different");
  CHECK(seen["verdict_background"] == "rgb(192, 38, 54)");
  CHECK(seen["verdicts"] == 1);
  CHECK(seen["counts"] == 12);
  CHECK(seen["fetched"] == 0);
  CHECK(seen["wider_than_page"] == false);
  CHECK(seen["broken"] == false);
  CHECK(seen["err"].get<std::string>().find("CONSOLE") == std::string::npos);
}

}  // namespace

TEST_CASE("the report opens in a browser without network: verdict, distributions and differences are seen",
          "[parity]") {
  const std::string program = browser();
  if (program.empty()) SKIP("no browser is installed; scripts/setup installs chromium");
  ParityWorld world(3'000);
  for (int i = 1; i <= 12; ++i)
    world.database.query(
        "UPDATE shadow.search_documents SET display_name = 'someone else <b>' || $1, phone = NULL, tsv = 'a "
        "b c d e f g h i j k "
        "l m n o p' WHERE doc_id = 'contact:' || $1",
        {std::to_string(i * 20)});
  world.database.query("DELETE FROM shadow.search_documents WHERE doc_id = 'contact:3'");
  const json summary = world.compare();
  REQUIRE(summary["verdict"] == "different");
  const json seen = look_at(world, program);
  INFO(seen.dump(2));
  check_different(seen);
  CHECK(seen["serving"] == 1);
  CHECK(seen["worker"] == 1);
  CHECK(seen["groups"] > 3);
  CHECK(seen["differences"] == 10);
  CHECK(seen["differing_fields"] > 9);
  CHECK(seen["commands"] >= 1);
}

TEST_CASE("the report of scores shows their statistics, that of cases how often which decisions met",
          "[parity]") {
  const std::string program = browser();
  if (program.empty()) SKIP("no browser is installed; scripts/setup installs chromium");
  ParityWorld world(0);
  SECTION("scores") {
    world.worker = "score-orchestrator";
    world.fill_scores(2'000);
    world.database.query("UPDATE shadow.score_updates SET score = score + 7 WHERE principal_id < 9");
    REQUIRE(world.compare()["verdict"] == "different");
    const json seen = look_at(world, program);
    INFO(seen.dump(2));
    check_different(seen);
    CHECK(seen["statistics"] == true);
    CHECK(seen["serving"] == 1);
    CHECK(seen["worker"] == 1);
    CHECK(seen["differences"] == 8);
  }
  SECTION("cases") {
    world.worker = "dispute-processor";
    world.fill_cases(1'200);
    for (const char side : {'m', 's'}) world.settle(side, 1, 3, "CORE");
    world.database.query("UPDATE shadow.dispute_decisions SET outcome = 'dismiss' WHERE case_id < 9");
    REQUIRE(world.compare()["verdict"] == "different");
    const json seen = look_at(world, program);
    INFO(seen.dump(2));
    check_different(seen);
    CHECK(seen["matrix"] > 3);
    CHECK(seen["serving"] == 2);
    CHECK(seen["differences"] == 8);
  }
}

}  // namespace cutover::test
