// The runbook about dead letters shows what the program really prints. RECORD_RUNBOOK=1 writes what it prints
// into the page.
#include <catch2/catch_test_macros.hpp>

#include <cstdlib>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>

#include <nlohmann/json.hpp>

#include "fault/two_sides.h"
#include "fixtures/process.h"
#include "fixtures/waiting.h"

using namespace cutover;
using namespace cutover::test;
using namespace std::chrono_literals;

namespace {

const std::string kPage = CUTOVER_SOURCE_DIR "/deploy/runbooks/dead-letters.md";

// What differs between two runs, and the blanks of columns that follow from it.
std::string masked(std::string text) {
  const std::pair<const char*, const char*> masks[] = {
      {R"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)", "<time>"},  {R"([0-9a-f]{64})", "<hash>"},
      {R"(\S+@\S+ \(login \S+\))", "<operator>"},       {R"(\S+@\S+)", "<operator>"},
      {R"(\S+, build test)", "<instance>, build test"}, {R"( +)", " "}};
  for (const auto& [pattern, mask] : masks) text = std::regex_replace(text, std::regex(pattern), mask);
  return text;
}

// The page as pieces: prose, and commands with what they print.
struct Piece {
  std::string command;  // empty: prose
  std::string text;
};
std::vector<Piece> read_page() {
  std::ifstream in(kPage);
  std::vector<Piece> pieces;
  bool console = false;
  for (std::string line; std::getline(in, line);) {
    if (console && line.starts_with("$ ")) {
      pieces.push_back({line.substr(2), ""});
      continue;
    }
    const bool opens = line == "```console", closes = console && line == "```";
    if (pieces.empty() || ((closes || opens) && !pieces.back().command.empty())) pieces.push_back({});
    if (closes || opens) console = opens;
    pieces.back().text += line + "\n";
  }
  return pieces;
}

// A worker that refuses contacts, an event that a producer broke, and one of a test.
struct Incident : TwoSides {
  Incident() {
    start_worker();
    const auto event = [](int i, const char* what, const std::string& reason) {
      EventDraft draft;
      draft.event_name = kEvent;
      draft.subject_id = "contact-" + std::to_string(i);
      draft.idempotency_key = "edge-" + std::to_string(i);
      draft.payload = nlohmann::json{{"do", what}, {"reason", reason}}.dump();
      return draft;
    };
    for (int i = 1; i <= 6; ++i)
      add(event(i, "dead", "contact " + std::to_string(4'700 + i) + " has no owner").text(),
          "contact-" + std::to_string(i));
    const std::string right = event(7, "ok", "").text();
    std::ofstream(servers.directory() + "/right.json") << right;
    std::string typo = right;
    typo.erase(typo.find(','), 1);
    std::ofstream(servers.directory() + "/typo.json") << typo;
    add(right.substr(0, right.size() - 1), "contact-7");  // cut off
    add(event(8, "refuse", "a contact of nobody").text(), "contact-8");
  }
  // One after the other, so that the letters have the numbers of the page.
  void add(const std::string& body, const std::string& key) {
    broker.publish(Sending{kEvent, body, key + "-1", {{"Cutover-Key", key}}});
    const std::int64_t wanted = ++letters_;
    const auto written = [&] { return db.count("SELECT count(*) FROM cutover.dead_letters") == wanted; };
    if (eventually(written, 60s)) return;
    FAIL("letter " << wanted << " was not written; the worker said:\n" << log("worker"));
  }
  std::string run_line(const std::string& command) {
    if (command.starts_with("systemctl restart")) {
      start_worker(true);
      return "";
    }
    const auto all = environment();
    Process::Environment variables(all.begin(), all.end());
    const Ended ended =
        run({"/bin/bash", "-c",
             "cd " + servers.directory() + " && PATH=$(dirname " CUTOVER_PROGRAM "):$PATH && { " + command +
                 "; } 2>&1"},
            variables);
    return ended.out;
  }

 private:
  std::int64_t letters_ = 0;
};

}  // namespace

TEST_CASE("the runbook's session is what the program prints", "[fault]") {
  std::vector<Piece> pieces = read_page();
  REQUIRE(pieces.size() > 20);
  Incident incident;
  const bool record = std::getenv("RECORD_RUNBOOK") != nullptr;
  std::string page;
  for (Piece& piece : pieces) {
    if (!piece.command.empty()) {
      const std::string printed = incident.run_line(piece.command);
      if (!record) {
        INFO(piece.command << "\nprinted:\n" << printed);
        CHECK(masked(printed) == masked(piece.text));
      }
      piece.text = "$ " + piece.command + "\n" + printed;
    }
    page += piece.text;
  }
  if (record) std::ofstream(kPage) << page;
}
