// Rebuild and comparison beside live traffic.

#include <catch2/catch_test_macros.hpp>

#include "search_world.h"
#include "workers/search/drift.h"
#include "workers/search/reindex.h"

using namespace cutover;
using namespace cutover::test;
using search::DriftOptions;
using search::DriftReport;
using search::DriftVerdict;
using search::ReindexOptions;
using search::ReindexOutcome;
using search::ReindexProgress;

namespace {

// 40 principals with a profile each, 400 contacts of ten owners.
struct Town : SearchWorld {
  Town() {
    change("INSERT INTO app.principals (principal_id, username) SELECT i, 'user_' || i FROM generate_series(1, 40) i");
    change("INSERT INTO app.profiles (profile_id, owner_principal_id, profile_class, display_name, discoverable) "
           "SELECT i, i, 'single', 'Person ' || i, i % 4 <> 0 FROM generate_series(1, 40) i");
    change("INSERT INTO app.channels (channel_id, principal_id, kind, value, state, verified_at) "
           "SELECT i, i, 'phone', '+49' || (1000 + i), 'verified_active', now() FROM generate_series(1, 40) i");
    change("INSERT INTO app.contacts (contact_id, owner_id, display_name, state) "
           "SELECT i, 1 + i % 10, 'Contact ' || i, CASE WHEN i % 20 = 0 THEN 'tombstoned' ELSE 'active_confirmed' END FROM generate_series(1, 400) i");
  }
  search::ReindexReport reindex(ReindexOptions options = {}, int stop_after = 1 << 30) {
    options.chunk_documents = 50;
    steps = 0;
    return search::reindex(hand.in_transaction(), options, [&](const ReindexProgress&) { return ++steps < stop_after; },
                           [](std::chrono::milliseconds) { return true; });
  }
  DriftReport drift(DriftOptions options = {}, std::function<void()> meanwhile = [] {}) {
    options.chunk_documents = 50;
    return search::drift(hand.in_transaction(), options, [&](std::chrono::milliseconds) {
      meanwhile();
      return true;
    });
  }
  // Documents by no event: as a bug or a lost write would leave them.
  void damage() {
    change("DELETE FROM serving.search_documents WHERE doc_id IN ('contact:1', 'contact:2', 'profile:1')");
    change("UPDATE serving.search_documents SET phone = '+1' WHERE doc_id IN ('contact:3', 'profile:2')");
    change("INSERT INTO serving.search_documents (doc_id, kind, visibility, owner_id, tsv) VALUES ('contact:9999', 'contact', 'owner', 5, ''), "
           "('contact:20', 'contact', 'owner', 1, ''), ('garbage', 'contact', 'owner', 5, '')");
  }
  int steps = 0;
};

}  // namespace

TEST_CASE("a full reindex builds every document, with progress, and ends with a drift check") {
  Town town;
  const auto report = town.reindex();
  CHECK(report.outcome == ReindexOutcome::completed);
  CHECK(town.differences() == 0);
  CHECK(report.progress.upserted == 380 + 30);
  CHECK(report.progress.deleted == 0);
  CHECK(report.progress.seen == 400 + 40 + 410);
  CHECK(report.progress.phase == "done");
  CHECK(town.steps > 10);
  REQUIRE(report.drift);
  CHECK(report.drift->verdict == DriftVerdict::ok);
  const auto sent = town.take_outgoing();
  CHECK(sent.size() == 412);
  CHECK(sent.front() == "search.reindex_started " + report.progress.run_id);
  CHECK(sent.back() == "search.reindex_completed " + report.progress.run_id);
  CHECK(town.database.value("SELECT state || ' ' || upserted FROM serving.search_reindex_runs") == "completed 410");
}

TEST_CASE("a reindex puts right what is missing, different or too much, and touches nothing else") {
  Town town;
  town.reindex();
  town.take_outgoing();
  town.damage();
  CHECK(town.differences() > 0);
  const auto report = town.reindex();
  CHECK(town.differences() == 0);
  CHECK(report.progress.upserted == 5);
  CHECK(report.progress.deleted == 3);
  CHECK(town.take_outgoing().size() == 2 + 5 + 2);  // the nameless one is nobody's news
}

TEST_CASE("a reindex of one owner leaves the others alone") {
  Town town;
  ReindexOptions options;
  options.owner = 5;
  const auto report = town.reindex(options);
  CHECK(report.outcome == ReindexOutcome::completed);
  CHECK(report.progress.upserted == 40 + 1);
  CHECK(town.database.count("SELECT count(*) FROM serving.search_documents WHERE owner_id <> 5") == 0);
  CHECK(report.drift->mode == "full");
  CHECK(report.drift->checked == 41);
  // A contact that moved to another owner.
  town.change("UPDATE serving.search_documents SET owner_id = 6 WHERE doc_id = 'contact:4'");
  options.owner = 6;
  town.reindex(options);
  CHECK(town.field("contact:4", "owner_id") == "5");
}

TEST_CASE("an interrupted reindex goes on where it stopped") {
  Town town;
  const auto first = town.reindex({}, 3);
  CHECK(first.outcome == ReindexOutcome::interrupted);
  CHECK_FALSE(first.drift);
  CHECK(first.progress.seen == 150);
  const auto second = town.reindex();
  CHECK(second.outcome == ReindexOutcome::completed);
  CHECK(second.progress.resumed);
  CHECK(second.progress.run_id == first.progress.run_id);
  CHECK(second.progress.upserted == 410);
  CHECK(town.differences() == 0);
  const auto third = town.reindex();
  CHECK_FALSE(third.progress.resumed);
  CHECK(third.progress.run_id != first.progress.run_id);
}

TEST_CASE("an unfinished reindex is given up on request, and when it is a day old") {
  Town town;
  const auto first = town.reindex({}, 3);
  ReindexOptions anew;
  anew.restart = true;
  const auto second = town.reindex(anew, 3);
  CHECK(second.progress.run_id != first.progress.run_id);
  CHECK(town.database.value("SELECT state FROM serving.search_reindex_runs WHERE run_id = $1::uuid", {first.progress.run_id}) == "abandoned");
  town.change("UPDATE serving.search_reindex_runs SET progressed_at = now() - interval '25 hours'");
  CHECK(town.reindex().progress.run_id != second.progress.run_id);
}

TEST_CASE("a reindex that fails says so, and goes on when it is called again") {
  Town town;
  town.change("CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no \"room\"'; END $$");
  town.change("CREATE TRIGGER refuse BEFORE INSERT ON serving.search_documents FOR EACH ROW WHEN (new.doc_id = 'contact:211') EXECUTE FUNCTION public.refuse()");
  CHECK_THROWS_AS(town.reindex(), StatementError);
  CHECK(town.database.value("SELECT state || ' ' || seen FROM serving.search_reindex_runs") == "failed 200");
  const std::string last = town.database.value("SELECT convert_from(payload, 'UTF8')::jsonb ->> 'event_name' FROM cutover.outbox ORDER BY outbox_id DESC LIMIT 1");
  CHECK(last == "search.reindex_failed");
  town.change("DROP TRIGGER refuse ON serving.search_documents");
  const auto again = town.reindex();
  CHECK(again.progress.resumed);
  CHECK(again.outcome == ReindexOutcome::completed);
  CHECK(town.differences() == 0);
}

TEST_CASE("a rebuild that still differs at the end is a failure") {
  Town town;
  town.change("CREATE FUNCTION public.bend() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.phone := 'bent'; RETURN new; END $$");
  town.change("CREATE TRIGGER bend BEFORE INSERT ON serving.search_documents FOR EACH ROW EXECUTE FUNCTION public.bend()");
  const auto report = town.reindex();
  CHECK(report.outcome == ReindexOutcome::drifted);
  CHECK(report.drift->verdict == DriftVerdict::different);
  CHECK(town.database.value("SELECT state FROM serving.search_reindex_runs") == "failed");
  CHECK(town.database.value("SELECT error FROM serving.search_reindex_runs").find("still differ") != std::string::npos);
  town.change("DROP TRIGGER bend ON serving.search_documents");
  const auto next = town.reindex();
  CHECK_FALSE(next.progress.resumed);
  CHECK(next.outcome == ReindexOutcome::completed);
}

TEST_CASE("events that arrive during a reindex are not lost to it") {
  Town town;
  search::reindex(town.hand.in_transaction(), [] {
        ReindexOptions options;
        options.chunk_documents = 50;
        return options;
      }(),
      [&](const ReindexProgress& progress) {
        const std::string id = std::to_string(1 + progress.seen % 400);
        town.change("UPDATE app.contacts SET display_name = 'Changed ' || contact_id WHERE contact_id = " + id);
        town.hand.deliver({{"contact.edge_upserted", "{\"contact_id\":" + id + ",\"owner_id\":1}"}});
        return true;
      },
      [](std::chrono::milliseconds) { return true; });
  CHECK(town.differences() == 0);
}

TEST_CASE("drift names what is missing, too much and different") {
  Town town;
  town.reindex();
  DriftOptions full;
  full.full = true;
  CHECK(town.drift(full).verdict == DriftVerdict::ok);
  CHECK(town.drift(full).checked == 410);
  town.damage();
  const DriftReport report = town.drift(full);
  CHECK(report.missing == 3);
  CHECK(report.extra == 3);
  CHECK(report.different == 2);
  CHECK(report.checked == 413);
  CHECK(report.verdict == DriftVerdict::different);
  CHECK(report.percent > 1.9);
  CHECK(std::find(report.examples.begin(), report.examples.end(), "missing profile:1") != report.examples.end());
  CHECK(std::find(report.examples.begin(), report.examples.end(), "extra garbage") != report.examples.end());
  CHECK(std::find(report.examples.begin(), report.examples.end(), "different contact:3") != report.examples.end());
  CHECK(town.database.value("SELECT verdict || ' ' || missing || ' ' || extra || ' ' || different FROM serving.search_drift ORDER BY drift_id DESC LIMIT 1") ==
        "different 3 3 2");
}

TEST_CASE("a sample finds drift as a full check does") {
  Town town;
  town.reindex();
  DriftOptions sample;
  sample.sample = 1'000;  // more than there are: all of them
  CHECK(town.drift(sample).verdict == DriftVerdict::ok);
  town.damage();
  const DriftReport report = town.drift(sample);
  CHECK(report.mode == "sample");
  CHECK(report.missing + report.extra + report.different == 8);
  sample.sample = 100;
  const DriftReport part = town.drift(sample);
  CHECK(part.checked <= 100);
  CHECK(part.checked > 60);
}

TEST_CASE("half a percent of a sample is the limit") {
  Town town;
  town.reindex();
  DriftOptions full;
  full.full = true;
  town.change("DELETE FROM serving.search_documents WHERE doc_id IN ('contact:1', 'contact:2')");
  CHECK(town.drift(full).verdict == DriftVerdict::ok);  // 2 of 410
  town.change("DELETE FROM serving.search_documents WHERE doc_id = 'contact:3'");
  CHECK(town.drift(full).verdict == DriftVerdict::different);
}

TEST_CASE("documents whose events are on the way are no drift") {
  Town town;
  town.reindex();
  town.change("UPDATE app.contacts SET display_name = 'New ' || contact_id WHERE contact_id <= 100");
  DriftOptions full;
  full.full = true;
  std::vector<Told> events;
  for (int id = 1; id <= 100; ++id) events.push_back({"contact.edge_upserted", "{\"contact_id\":" + std::to_string(id) + "}"});
  const DriftReport report = town.drift(full, [&] { town.hand.deliver(events); });
  CHECK(report.verdict == DriftVerdict::ok);
  CHECK(report.in_flight == 95);
  CHECK(report.missing + report.extra + report.different == 0);
}

TEST_CASE("documents that wait for a job are no drift") {
  Town town;
  town.reindex();
  town.change("INSERT INTO app.contacts (contact_id, owner_id, display_name, state) SELECT i, 3, 'Contact ' || i, 'active_confirmed' FROM generate_series(1001, 1400) i");
  town.hand.deliver({{"contact.sync_completed", R"({"owner_id":3})"}});
  DriftOptions full;
  full.full = true;
  const DriftReport report = town.drift(full);
  CHECK(report.in_flight == 400);
  CHECK(report.verdict == DriftVerdict::ok);
}

TEST_CASE("nothing to compare is no verdict") {
  SearchWorld world;
  DriftOptions options;
  const auto wait = [](std::chrono::milliseconds) { return true; };
  CHECK(search::drift(world.hand.in_transaction(), options, wait).verdict == DriftVerdict::inconclusive);
  options.full = true;
  CHECK(search::drift(world.hand.in_transaction(), options, wait).verdict == DriftVerdict::inconclusive);
}
