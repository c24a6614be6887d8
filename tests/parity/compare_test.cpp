#include <signal.h>
#include <sys/resource.h>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "fixtures/waiting.h"
#include "parity/parity_world.h"

namespace cutover::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

// A million in the long form.
std::int64_t documents(std::int64_t otherwise) {
  return std::getenv("CUTOVER_TEST_LONG") != nullptr ? 1'000'000 : otherwise;
}

struct Seeded {
  std::string key;
  std::string what;
  std::string field;  // empty: the whole row
  auto operator<=>(const Seeded&) const = default;
};

// 37 differences over the whole table: two of each field, five nulls, six rows missing and six extra.
std::set<Seeded> seed_differences(TestDatabase& database, std::int64_t rows) {
  const std::vector<std::pair<std::string, std::string>> fields = {
      {"owner_id", "owner_id + 1"},
      {"visibility", "CASE visibility WHEN 'owner' THEN 'public' ELSE 'owner' END"},
      {"display_name", "display_name || '!'"},
      {"phone", "phone || '0'"},
      {"email", "upper(email)"},
      {"kind", "CASE kind WHEN 'contact' THEN 'profile' ELSE 'contact' END"},
      {"company_name", "''"},
      {"job_title", "lower(job_title)"},
      {"circle_names", "circle_names || 'more'::text"},
      {"tsv", "setweight(tsv, 'D')"}};
  std::set<Seeded> seeded;
  int number = 0;
  const auto next = [&] {
    const std::int64_t i = 1 + ++number * (rows / 40);
    return (i % 10 < 8 ? "contact:" : "profile:") + std::to_string(i);
  };
  for (const auto& [field, value] : fields)
    for (int i = 0; i < 2; ++i) {
      const std::string key = next();
      std::string set = field;
      set += " = ";
      set += field == "tsv" ? "setweight(tsv, 'D') || 'other'::tsvector" : value;
      database.query("UPDATE shadow.search_documents SET " + set + " WHERE doc_id = $1", {key});
      seeded.insert({key, "field differs", field});
    }
  for (const char* field : {"phone", "email", "company_name", "job_title", "display_name"}) {
    const std::string key = next();
    database.query(std::string("UPDATE shadow.search_documents SET ") + field + " = NULL WHERE doc_id = $1",
                   {key});
    seeded.insert({key, "type differs", field});
  }
  for (int i = 0; i < 6; ++i) {
    const std::string missing = next(), extra = next();
    database.query("DELETE FROM shadow.search_documents WHERE doc_id = $1", {missing});
    database.query("DELETE FROM serving.search_documents WHERE doc_id = $1", {extra});
    seeded.insert({missing, "missing", ""});
    seeded.insert({extra, "extra", ""});
  }
  // None of these is one: a set has no order.
  database.query(
      "UPDATE shadow.search_documents SET circle_names = ARRAY['work', 'family', 'work'] WHERE doc_id IN "
      "(SELECT doc_id FROM "
      "shadow.search_documents WHERE circle_names = ARRAY['family', 'work'] ORDER BY doc_id LIMIT 10)");
  return seeded;
}

bool is_mismatch(const json& line) {
  const std::string what = line["class"];
  return what != "pending" && what != "transient" && what != "ignored";
}

std::set<Seeded> found_in(const std::vector<json>& lines) {
  std::set<Seeded> found;
  for (const json& line : lines) {
    if (!is_mismatch(line)) continue;
    const std::string key = line["key"][0];
    if (line["fields"].empty()) found.insert({key, line["class"], ""});
    for (const json& field : line["fields"]) found.insert({key, field["class"], field["field"]});
  }
  return found;
}

std::string reasons(const json& summary) {
  return summary.value("reasons", json::array()).dump();
}

}  // namespace

TEST_CASE("all 37 seeded differences are found, named and classified, and none is invented", "[parity]") {
  const std::int64_t rows = documents(50'000);
  ParityWorld world(rows);
  const auto seeded = seed_differences(world.database, rows);
  REQUIRE(seeded.size() == 37);
  const auto began = std::chrono::steady_clock::now();
  const json summary = world.compare();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  INFO(summary.dump(2));
  CHECK(summary["code"] == 1);
  CHECK(summary["verdict"] == "different");
  CHECK(found_in(world.differences()) == seeded);
  CHECK(world.differences().size() == 37);
  CHECK(summary["mismatches"] == 37);
  CHECK(ParityWorld::count(summary, "equal") == static_cast<std::uint64_t>(rows) - 37);
  CHECK(summary["samples"] == rows);
  rusage used{};
  ::getrusage(RUSAGE_CHILDREN, &used);
  std::cout << rows << " documents against as many: " << seconds << " s, " << used.ru_maxrss / 1'024
            << " MiB\n";
  CHECK(used.ru_maxrss < 128 * 1'024);
}

TEST_CASE("while both sides keep writing nothing is invented: what is on its way is pending or transient",
          "[parity]") {
  const std::int64_t rows = documents(20'000);
  ParityWorld world(rows);
  const auto seeded = seed_differences(world.database, rows);
  // Some hundred events a second; the worker follows the monolith by some fifty of them. Every twentieth
  // deletes a document, which comes back sixty events later.
  std::atomic<bool> over{false};
  std::atomic<std::int64_t> written{1'000};
  const auto write = [&](const std::string& schema, char side, auto&& may) {
    postgres::Session session(world.database.url(), "", "parity writer");
    for (std::int64_t at = 1'001; !over;) {
      if (!may(at)) {
        std::this_thread::sleep_for(1ms);
        continue;
      }
      const auto deleted_at = [](std::int64_t event) { return 10 * (event / 20 % 1'900) + 3; };
      const std::int64_t number = at % 20 == 0   ? deleted_at(at)
                                  : at % 20 == 1 ? deleted_at(at - 61)
                                                 : 10 * (at * 7 / 2 % 1'900) + 5;
      const std::string doc = "'contact:" + std::to_string(number) + "'";
      const std::string place = std::to_string(at);
      const std::string change =
          at % 20 == 0
              ? "DELETE FROM " + schema + ".search_documents WHERE doc_id = " + doc + " RETURNING 1"
              : "INSERT INTO " + schema +
                    ".search_documents (doc_id, kind, owner_id, visibility, tsv, stream, seq, "
                    "display_name) VALUES (" +
                    doc + ", 'contact', 1, 'owner', 'x', 'CONTACT', " + place + ", 'written " + place +
                    "') ON CONFLICT (doc_id) DO UPDATE SET seq = excluded.seq, stream = "
                    "excluded.stream, display_name = excluded.display_name RETURNING 1";
      session.query("WITH change AS (" + change +
                    "), settled AS (INSERT INTO cutover.settlements (worker_id, stream_id, side, class, "
                    "sequences, span) SELECT worker_id, "
                    "stream_id, '" +
                    side + "', 'a', int8multirange(int8range(" + place + "," + place + ",'[]')), int8range(" +
                    place + "," + place +
                    ",'[]') FROM cutover.workers CROSS JOIN cutover.streams WHERE worker = "
                    "'search-projector' AND stream = 'CONTACT') "
                    "SELECT count(*) FROM change");
      ++at;
      if (side == 'm') written = at;
      std::this_thread::sleep_for(2ms);
    }
  };
  const auto follows = [&](std::int64_t at) { return at + 50 < written; };
  std::string failed;  // of a writer
  std::mutex failing;
  const auto run = [&](const std::string& schema, char side, auto&& may) {
    try {
      write(schema, side, may);
    } catch (const std::exception& error) {
      const std::lock_guard lock(failing);
      failed += error.what();
    }
  };
  json summary;
  std::uint64_t pending = 0, transient = 0;
  {
    std::jthread monolith([&] { run("serving", 'm', [](std::int64_t) { return true; }); });
    std::jthread worker([&] { run("shadow", 's', follows); });
    const bool runs = eventually([&] { return written > 1'200; });
    // Until both were seen: at one moment there may be no document of which only one side knows that it is
    // gone.
    for (int i = 0; runs && i < 20 && (pending == 0 || transient == 0); ++i) {
      summary = world.compare();
      if (!summary.contains("outputs")) break;
      pending += ParityWorld::count(summary, "pending");
      transient += ParityWorld::count(summary, "transient");
    }
    over = true;
  }
  REQUIRE(failed == "");
  REQUIRE(summary.is_object());
  INFO(summary.dump(2));
  CHECK(summary["verdict"] == "different");
  CHECK(found_in(world.differences()) == seeded);
  CHECK(pending > 0);
  CHECK(transient > 0);
  // What is pending was written beyond the watermark that its line names. Only the document that is deleted
  // and made again can differ without a row that says so: a row that is gone names no event.
  for (const json& line : world.differences()) {
    INFO(line.dump(2));
    const bool deleted = line["key"][0].get<std::string>().ends_with("3");
    if (line["class"] == "transient") CHECK(deleted);
    if (line["class"] != "pending") continue;
    if (deleted && line["beyond"].is_null()) continue;
    const std::string mark = line["beyond"];
    REQUIRE(mark.starts_with("CONTACT/"));
    std::int64_t last = 0;
    for (const char* side : {"serving", "worker"})
      if (line[side].is_object() && line[side]["(sequence)"].is_number())
        last = std::max(last, line[side]["(sequence)"].get<std::int64_t>());
    CHECK(std::stoll(mark.substr(8)) >= 1'000);
    if (!deleted) CHECK(last > std::stoll(mark.substr(8)));
  }
  std::cout << "while " << written - 1'000 << " events were written to " << rows
            << " documents: " << ParityWorld::count(summary, "pending") << " pending, "
            << ParityWorld::count(summary, "transient") << " transient, " << summary["mismatches"]
            << " mismatches\n";
}

TEST_CASE("what prevents a verdict is said, exit 2", "[parity]") {
  ParityWorld world(3'000);
  CHECK(world.compare()["verdict"] == "ok");
  const auto inconclusive = [&](const std::string& reason, const std::vector<std::string>& arguments = {}) {
    const json summary = world.compare(arguments);
    INFO(summary.dump(2));
    CHECK(summary["code"] == 2);
    CHECK(summary["verdict"] == "inconclusive");
    CHECK(reasons(summary).find(reason) != std::string::npos);
  };
  SECTION("the worker is dead") {
    world.database.query("SELECT pg_advisory_unlock_all()");
    inconclusive("no instance of the worker is alive");
  }
  SECTION("the monolith is dead") {
    world.database.query(
        "UPDATE cutover.instances SET seen_at = now() - interval '2 minutes' WHERE side = 'monolith'");
    inconclusive("gate was not seen within a minute");
  }
  SECTION("the worker's table is empty") {
    world.database.query("TRUNCATE shadow.search_documents");
    inconclusive("the worker wrote none, shadow is empty");
  }
  SECTION("the monolith's table is empty") {
    world.database.query("TRUNCATE serving.search_documents");
    inconclusive("the monolith wrote none, serving is empty");
  }
  SECTION("both are empty") {
    world.database.query("TRUNCATE shadow.search_documents, serving.search_documents");
    inconclusive("not one row");
  }
  SECTION("the watermark stands still") {
    world.settle('m', 1'001, 1'005);
    inconclusive("watermark of stream CONTACT stands at 1000: the worker has not settled 1001");
  }
  SECTION("too few samples") {
    world.more["CUTOVER_OWNERSHIP_PARITY_SAMPLES_MIN"] = "5000";
    inconclusive("too few samples: 3000 of 5000");
  }
  SECTION("too few samples of one kind") {
    world.database.query("DELETE FROM serving.search_documents WHERE kind = 'business'");
    world.database.query("DELETE FROM shadow.search_documents WHERE kind = 'business'");
    inconclusive("too few samples of business: 0 of 30");
  }
  SECTION("nothing was written since then") {
    inconclusive("too few samples: 0", {"--since", "1h"});
  }
  SECTION("the worker is not compared at all") {
    world.database.query(
        "INSERT INTO cutover.ownership (worker_id, epoch, stream_id, from_sequence, mode, actor, reason) "
        "SELECT worker_id, 2, stream_id, "
        "2000, 'monolith', 'test', 'test' FROM cutover.workers CROSS JOIN cutover.streams");
    inconclusive("is at stage monolith");
  }
}

TEST_CASE("a verdict is stored with what it rests on, whatever it is", "[parity]") {
  ParityWorld world(3'000);
  const json ok = world.compare();
  CHECK(ok["code"] == 0);
  const auto stored = [&](const std::string& columns) {
    return world.database.value("SELECT concat_ws('|', " + columns +
                                ") FROM cutover.parity_verdicts ORDER BY at DESC LIMIT 1");
  };
  CHECK(stored("worker, verdict, samples, schema_version = cutover.schema_version()") ==
        "search-projector|ok|3000|t");
  CHECK(stored("build") == ok["build"].get<std::string>());
  CHECK(stored("detail ->> 'id'") == ok["id"].get<std::string>());
  CHECK(stored("detail -> 'outputs' -> 0 -> 'strata' ->> 'contact'") == "2400");
  world.database.query("UPDATE shadow.search_documents SET phone = 'x' WHERE doc_id = 'contact:1'");
  world.compare();
  CHECK(stored("verdict") == "different");
  world.database.query("TRUNCATE shadow.search_documents");
  world.compare();
  CHECK(stored("verdict") == "inconclusive");
}

TEST_CASE("an event that one side alone gave up on is a mismatch, one that both did is none", "[parity]") {
  ParityWorld world(3'000);
  const auto give_up = [&](std::int64_t sequence, const std::string& side, const std::string& kind) {
    const std::string shadow = side == "worker" ? "true" : "false", letter = side == "worker" ? "s" : "m";
    world.database.query("UPDATE cutover.settlements SET sequences = sequences - int8multirange(int8range(" +
                         std::to_string(sequence) + "," + std::to_string(sequence) +
                         ",'[]')) WHERE side = '" + letter + "'");
    world.database.query(
        "INSERT INTO cutover.settlements (worker_id, stream_id, side, class, sequences, span) SELECT "
        "worker_id, stream_id, '" +
            letter +
            "', 'x', int8multirange(int8range($1::bigint, $1::bigint, '[]')), int8range($1::bigint, "
            "$1::bigint, '[]') "
            "FROM cutover.workers CROSS JOIN cutover.streams WHERE worker = 'search-projector' AND stream = "
            "'CONTACT'",
        {std::to_string(sequence)});
    world.database.query(
        "SELECT cutover.write_dead_letter('search-projector', $1, " + shadow +
            ", 'i', 'b', 'CONTACT', 1, $2::bigint, 'e' || $2::text, 'contact.edge_upserted', 'contact', "
            "'contact.edge_upserted', '1', 'global', "
            "'k' || $2::text, 1, $3, 'it is broken', 'it is broken', 1, now(), now(), '[]', '\\x00')",
        {side, std::to_string(sequence), kind});
  };
  give_up(10, "worker", "rejected");
  give_up(10, "monolith", "rejected");
  CHECK(world.compare()["verdict"] == "ok");
  give_up(20, "worker", "rejected");
  give_up(30, "monolith", "malformed");
  give_up(30, "worker", "rejected");
  const json summary = world.compare();
  INFO(summary.dump(2));
  CHECK(summary["code"] == 1);
  CHECK(summary["events_given_up"]["equal"] == 1);
  CHECK(summary["events_given_up"]["error on one side"] == 1);
  CHECK(summary["events_given_up"]["errors differ"] == 1);
  const auto lines = world.differences();
  REQUIRE(lines.size() == 2);
  CHECK(lines[0]["key"][0] == "CONTACT/20");
  CHECK(lines[0]["fields"][0]["serving"] == "succeeded");
  CHECK(lines[0]["explain"][0] == "cutover explain search-projector CONTACT/20");
}

TEST_CASE("only what was written since a time is compared, and keys that one side alone has", "[parity]") {
  ParityWorld world(3'000);
  world.database.query("UPDATE shadow.search_documents SET phone = 'old' WHERE doc_id = 'contact:1'");
  world.database.query(
      "UPDATE shadow.search_documents SET phone = 'new', updated_at = now() WHERE doc_id = 'contact:2'");
  world.database.query("DELETE FROM shadow.search_documents WHERE doc_id = 'contact:3'");
  const json summary = world.compare({"--since", "1h"});
  INFO(summary.dump(2));
  CHECK(summary["samples"] == 2);
  CHECK(found_in(world.differences()) ==
        std::set<Seeded>{{"contact:2", "field differs", "phone"}, {"contact:3", "missing", ""}});
  CHECK(world.compare({"--since", "yesterdayish"})["err"].get<std::string>().find("is no time") !=
        std::string::npos);
}

TEST_CASE("the differences of a report are looked at again, by its id", "[parity]") {
  ParityWorld world(3'000);
  for (int i : {1, 2, 3})
    world.database.query("UPDATE shadow.search_documents SET phone = 'x' WHERE doc_id = 'contact:' || $1",
                         {std::to_string(i)});
  const std::string id = world.compare()["id"];
  world.database.query(
      "UPDATE shadow.search_documents s SET phone = m.phone FROM serving.search_documents m WHERE m.doc_id = "
      "s.doc_id AND s.doc_id = 'contact:1'");
  const auto first = world.out;
  world.out += "-again";
  const json again = world.compare({"--rerun", id});
  INFO(again.dump(2));
  CHECK(again["code"] == 1);
  CHECK(again["samples"] == 3);
  CHECK(again["mismatches"] == 2);
  CHECK(world.database.count("SELECT count(*) FROM cutover.parity_verdicts") == 1);
  world.database.query(
      "UPDATE shadow.search_documents s SET phone = m.phone FROM serving.search_documents m WHERE m.doc_id = "
      "s.doc_id");
  CHECK(world.compare({"--rerun", id})["verdict"] == "ok");
  std::filesystem::remove_all(first);
  CHECK(world.compare({"--rerun", "nobody-1"})["code"] == 3);
}

TEST_CASE("an interrupted comparison goes on where it stopped and ends in the same report", "[parity]") {
  ParityWorld world(100'000);
  const auto seeded = seed_differences(world.database, 100'000);
  std::vector<std::string> command =
      cutover_command({"compare", "search-projector", "--out", world.out.string()});
  {
    Process process(command, world.environment());
    REQUIRE(eventually([&] {
      const json state = json::parse(world.report("state.json"), nullptr, false);
      return state.is_object() && !state["walk"]["after"].is_null();
    }));
    process.signal(SIGINT);
    const Ended ended = process.wait();
    INFO(ended.err);
    REQUIRE(ended.code == 2);
    CHECK(ended.err.find("it goes on where it stopped") != std::string::npos);
  }
  const json state = json::parse(world.report("state.json"));
  CHECK(state["walk"]["after"].is_array());
  CHECK(world.compare({"--against", "serving"})["code"] == 3);  // another comparison does not take it over
  const json summary = world.compare();
  CHECK(summary["id"] == state["scope"]["id"]);
  CHECK(found_in(world.differences()) == seeded);
  CHECK(world.differences().size() == 37);
  CHECK(summary["samples"] == 100'000);
  CHECK(world.report("state.json").empty());
}

TEST_CASE("an ignore rule hides a field until its day, up to its rate", "[parity]") {
  ParityWorld world(3'000);
  world.database.query(
      "UPDATE shadow.search_documents SET job_title = lower(job_title) WHERE doc_id IN ('contact:1', "
      "'contact:2')");
  const std::string file = world.out.string() + ".toml";
  world.always.insert(world.always.end(), {"--ignore", file});
  const auto with = [&](const std::string& output, const std::string& field, const std::string& expires,
                        const std::string& rate) {
    std::ofstream(file) << "[[ignore]]\noutput = \"" << output << "\"\nfield = \"" << field
                        << "\"\nowner = \"ann\"\nreason = \"case\"\nexpires = \"" << expires
                        << "\"\nrate_max = " << rate << "\n";
    return world.compare();
  };
  const json hidden = with("search documents", "job_title", "2999-01-01", "0.01");
  CHECK(hidden["verdict"] == "ok");
  CHECK(ParityWorld::count(hidden, "ignored") == 2);
  const json often = with("search documents", "job_title", "2999-01-01", "0.0001");
  CHECK(often["verdict"] == "different");
  CHECK(reasons(often).find("hid 2 of 3000 rows") != std::string::npos);
  const json expired = with("search documents", "job_title", "2020-01-01", "0.01");
  CHECK(expired["verdict"] == "different");
  CHECK(reasons(expired).find("expired on 2020-01-01") != std::string::npos);
  CHECK(ParityWorld::count(expired, "field differs") == 2);
  CHECK(with("search documents", "job_titel", "2999-01-01", "0.01")["err"].get<std::string>().find(
            "has no field job_titel") != std::string::npos);
  CHECK(with("search documents", "job_title", "soon", "0.01")["err"].get<std::string>().find("is no day") !=
        std::string::npos);
  CHECK(with("search documents", "job_title", "2999-01-01", "2")["code"] == 3);
  std::filesystem::remove(file);
}

TEST_CASE("scores: 0.005 points apart pass, 0.02 fail; NaN, null and a missing row fail by their own class",
          "[parity]") {
  ParityWorld world(0);
  world.worker = "score-orchestrator";
  world.fill_scores(5'000);
  const auto score = [&](int principal, const std::string& value) {
    world.database.query("UPDATE shadow.score_updates SET score = " + value + " WHERE principal_id = $1",
                         {std::to_string(principal)});
  };
  score(10, "score + 0.005");
  score(11, "score - 0.005");
  const json tolerated = world.compare();
  INFO(tolerated.dump(2));
  CHECK(tolerated["verdict"] == "ok");
  CHECK(ParityWorld::count(tolerated, "tolerated") == 2);
  world.database.query("ALTER TABLE shadow.score_updates ALTER score DROP NOT NULL");
  score(20, "score + 0.02");
  score(21, "'NaN'");
  score(22, "NULL");
  world.database.query("DELETE FROM shadow.score_updates WHERE principal_id = 23");
  world.database.query("DELETE FROM serving.score_updates WHERE principal_id = 24");
  world.database.query("UPDATE shadow.score_updates SET trust = trust - 0.0002 WHERE principal_id = 25");
  // An instant may be later on the worker's side, never earlier.
  world.database.query(
      "UPDATE shadow.score_updates SET as_of = as_of + interval '1 s' WHERE principal_id = 26");
  world.database.query(
      "UPDATE shadow.score_updates SET as_of = as_of - interval '1 s' WHERE principal_id = 27");
  const json different = world.compare();
  INFO(different.dump(2));
  CHECK(different["code"] == 1);
  CHECK(different["verdict"] == "different");
  CHECK(found_in(world.differences()) == std::set<Seeded>{{"20", "field differs", "score"},
                                                          {"21", "field differs", "score"},
                                                          {"22", "type differs", "score"},
                                                          {"23", "missing", ""},
                                                          {"24", "extra", ""},
                                                          {"25", "field differs", "trust"},
                                                          {"27", "field differs", "as_of"}});
  const json& statistics = different["outputs"][0]["statistics"];
  CHECK(statistics["pairs"] == 4'996);
  CHECK(statistics["more_than_5_apart"] == 0);
  CHECK(different["formula"] == "v1.0");
}

TEST_CASE("scores: a bias of 0.004 on every row fails, though each row passes, and 0.0005 does not",
          "[parity]") {
  ParityWorld world(0);
  world.worker = "score-orchestrator";
  world.fill_scores(5'000);
  world.database.query("UPDATE shadow.score_updates SET score = score + 0.0005");
  const json little = world.compare();
  INFO(little.dump(2));
  CHECK(little["verdict"] == "ok");
  CHECK(ParityWorld::count(little, "tolerated") == 5'000);
  world.database.query("UPDATE shadow.score_updates SET score = score + 0.0035");
  const json biased = world.compare();
  INFO(biased.dump(2));
  CHECK(biased["code"] == 1);
  CHECK(biased["verdict"] == "different");
  CHECK(biased["mismatches"] == 0);
  CHECK(reasons(biased).find("score of the worker is biased by +0.00400") != std::string::npos);
}

TEST_CASE("decisions about cases are compared exactly, and nothing may be ignored in them", "[parity]") {
  ParityWorld world(0);
  world.worker = "dispute-processor";
  world.fill_cases(1'200);
  CHECK(world.compare()["verdict"] == "ok");
  const auto change = [&](const std::string& table, const std::string& set, int id) {
    world.database.query("UPDATE shadow." + table + " SET " + set + " WHERE case_id = $1",
                         {std::to_string(id)});
  };
  change("dispute_decisions", "lane = 1", 10);
  change("dispute_decisions", "confidence = 0.51", 11);
  change("dispute_decisions", "actions = '{log,warn}'", 12);
  change("dispute_decisions", "hold_hours = 25", 13);
  change("dispute_queue", "routed_lane = 3", 14);
  world.database.query("DELETE FROM shadow.dispute_decisions WHERE case_id = 15");
  for (const char side : {'m', 's'}) world.settle(side, 1, 3, "CORE");
  const json different = world.compare();
  INFO(different.dump(2));
  CHECK(different["code"] == 1);
  CHECK(found_in(world.differences()) == std::set<Seeded>{{"10", "field differs", "lane"},
                                                          {"11", "field differs", "confidence"},
                                                          {"12", "field differs", "actions"},
                                                          {"13", "field differs", "hold_hours"},
                                                          {"14", "field differs", "routed_lane"},
                                                          {"15", "missing", ""}});
  std::uint64_t met = 0;
  for (const json& cell : different["outputs"][0]["matrix"]["cells"])
    met += cell["count"].get<std::uint64_t>();
  CHECK(different["outputs"][0]["matrix"]["field"] == "outcome");
  CHECK(met == 1'200);
  // Both sides took in evidence that asks for a decision, and neither takes it.
  for (const std::string schema : {"serving", "shadow"})
    world.database.query(
        "INSERT INTO " + schema +
        ".dispute_evidence (case_id, version, kind, material, at, evidence, stream, seq) VALUES (16, 2, "
        "'evidence', true, '2026-11-20', '{}', 'CORE', 2)");
  const json stuck = world.compare();
  CHECK(stuck["code"] == 2);
  CHECK(reasons(stuck).find("watermark of stream CORE stands at 1") != std::string::npos);
  const std::string file = world.out.string() + ".toml";
  std::ofstream(file)
      << "[[ignore]]\noutput = \"dispute decisions\"\nfield = \"lane\"\nowner = \"ann\"\nreason = \"x\"\n"
         "expires = \"2999-01-01\"\nrate_max = 0.5\n";
  const json refused = world.compare({"--ignore", file});
  CHECK(refused["code"] == 3);
  CHECK(refused["err"].get<std::string>().find("nothing may be ignored in dispute decisions") !=
        std::string::npos);
  std::filesystem::remove(file);
}

TEST_CASE("every form of a report tells the same", "[parity]") {
  ParityWorld world(3'000);
  world.database.query(
      "UPDATE shadow.search_documents SET display_name = '<script>alert(1)</script>|' WHERE doc_id = "
      "'contact:2'");
  const json summary = world.compare();
  CHECK(json::parse(world.report("summary.json"))["mismatches"] == 1);
  const std::string junit = world.report("junit.xml");
  CHECK(junit.find("failures=\"2\"") != std::string::npos);
  CHECK(junit.find("name=\"field display_name\"><failure") != std::string::npos);
  const std::string markdown = world.report("report.md");
  CHECK(markdown.find("# Parity of search-projector: different") != std::string::npos);
  CHECK(markdown.find("cutover explain search-projector CONTACT/3") != std::string::npos);
  const std::string html = world.report("report.html");
  CHECK(html.find("class=\"verdict different\">different") != std::string::npos);
  CHECK(html.find("<script") == std::string::npos);
  CHECK(html.find("&lt;script&gt;alert(1)") != std::string::npos);
  CHECK(html.find("http://") == std::string::npos);
  CHECK(html.find("https://") == std::string::npos);
  const Ended text =
      run_cutover({"compare", "search-projector", "--out", world.out.string()}, world.environment());
  CHECK(text.code == 1);
  CHECK(text.out.find("different: 3,000 samples of search-projector against shadow, 1 difference") !=
        std::string::npos);
}

TEST_CASE("a table that is not there is an error, and so is a worker without outputs", "[parity]") {
  ParityWorld world(100);
  const json nothing = world.compare({"--against", "nowhere"});
  CHECK(nothing["code"] == 3);
  CHECK(nothing["err"].get<std::string>().find("there is no table nowhere.search_documents") !=
        std::string::npos);
}

}  // namespace cutover::test
