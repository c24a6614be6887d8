// Work that is too big for a batch.

#include <catch2/catch_test_macros.hpp>

#include "search_world.h"

using namespace cutover;
using namespace cutover::test;

namespace {

std::vector<Told> upserts(int from, int to, int owner) {
  std::vector<Told> events;
  for (int id = from; id <= to; ++id)
    events.push_back({"contact.edge_upserted", "{\"contact_id\":" + std::to_string(id) + ",\"owner_id\":" + std::to_string(owner) + "}"});
  return events;
}

void add_contacts(SearchWorld& world, int from, int to, int owner) {
  world.change("INSERT INTO app.contacts (contact_id, owner_id, display_name, state) SELECT i, " + std::to_string(owner) +
               ", 'Contact ' || i, 'active_confirmed' FROM generate_series(" + std::to_string(from) + ", " + std::to_string(to) + ") i");
}

}  // namespace

TEST_CASE("a bulk change of one owner waits behind the lanes, and nobody else's events wait for it") {
  SearchWorld world;
  add_contacts(world, 1, 1'000, 1);
  add_contacts(world, 2'001, 2'010, 2);
  std::vector<Told> events = upserts(1, 1'000, 1);
  for (const Told& other : upserts(2'001, 2'010, 2)) events.push_back(other);
  const auto verdicts = world.hand.deliver(events);
  CHECK(std::all_of(verdicts.begin(), verdicts.end(), [](const Verdict& v) { return std::holds_alternative<Done>(v); }));
  CHECK(world.database.count("SELECT count(*) FROM serving.search_documents WHERE owner_id = 1") == 0);
  CHECK(world.database.count("SELECT count(*) FROM serving.search_documents WHERE owner_id = 2") == 10);
  CHECK(world.database.count("SELECT sum(cardinality(contact_ids)) FROM serving.search_jobs") == 1'000);
  CHECK(world.hand.run_jobs() == 1);  // a thousand changes of one owner cost one pass
  CHECK(world.differences() == 0);
  CHECK(world.database.count("SELECT count(*) FROM serving.search_jobs") == 0);
  CHECK(world.take_outgoing().size() == 1'010);
}

TEST_CASE("a bulk change in shadow is worked off in shadow, and serving sees nothing of it") {
  SearchWorld world;
  add_contacts(world, 1, 1'000, 1);
  world.hand.deliver(upserts(1, 1'000, 1), true);
  CHECK(world.database.count("SELECT sum(cardinality(contact_ids)) FROM shadow.search_jobs") == 1'000);
  world.hand.run_shadow_chores();
  CHECK(world.differences("shadow") == 0);
  CHECK(world.database.count("SELECT count(*) FROM shadow.search_jobs") == 0);
  CHECK(world.database.count("SELECT (SELECT count(*) FROM serving.search_documents) + (SELECT count(*) FROM serving.search_jobs)") == 0);
  const auto outgoing = world.take_outgoing();
  CHECK(outgoing.size() == 1'000);
  CHECK(std::all_of(outgoing.begin(), outgoing.end(), [](const std::string& one) { return one.starts_with("shadow."); }));
}

TEST_CASE("a few changes of one owner are applied at once") {
  SearchWorld world;
  add_contacts(world, 1, 256, 1);
  world.hand.deliver(upserts(1, 256, 1));
  CHECK(world.differences() == 0);
  CHECK(world.database.count("SELECT count(*) FROM serving.search_jobs") == 0);
}

TEST_CASE("an event that touches more than 10,000 documents is durable with its batch and is done in chunks") {
  SearchWorld world;
  add_contacts(world, 1, 10'500, 1);
  world.hand.begin({{"contact.sync_completed", R"({"owner_id":1,"edges":10500})", 77}});
  CHECK(world.database.count("SELECT count(*) FROM serving.search_jobs") == 0);
  world.hand.commit();
  CHECK(world.database.count("SELECT count(*) FROM serving.search_jobs") == 6);
  CHECK(world.database.count("SELECT max(cardinality(contact_ids)) FROM serving.search_jobs") == 2'000);
  // A process that dies in a chunk leaves the chunk to the next one.
  CHECK_THROWS(world.hand.in_transaction()([](Transaction& tx) {
    search::JobRunner runner;
    runner.run(tx);
    throw std::runtime_error("dies before the commit");
  }));
  CHECK(world.database.count("SELECT count(*) FROM serving.search_documents") == 0);
  CHECK(world.hand.run_jobs() == 6);
  CHECK(world.differences() == 0);
  CHECK(world.field("contact:10500", "stream") == "CONTACT");
  CHECK(world.field("contact:10500", "seq") == "77");
  const auto causes = world.database.value("SELECT string_agg(DISTINCT convert_from(payload, 'UTF8')::jsonb ->> 'causation_id', ',') FROM cutover.outbox");
  CHECK(causes == "event-77");
  CHECK(world.database.value("SELECT string_agg(DISTINCT priority::text, ',') FROM cutover.outbox") == "8");
}

TEST_CASE("the same bulk change again writes and sends nothing") {
  SearchWorld world;
  add_contacts(world, 1, 600, 1);
  world.hand.deliver(upserts(1, 600, 1));
  world.hand.run_jobs();
  world.take_outgoing();
  const std::string before = world.database.value("SELECT sum(xmin::text::bigint) FROM serving.search_documents");
  world.hand.deliver({{"contact.sync_completed", R"({"owner_id":1})"}});
  CHECK(world.hand.run_jobs() == 1);
  CHECK(world.take_outgoing().empty());
  CHECK(world.database.value("SELECT sum(xmin::text::bigint) FROM serving.search_documents") == before);
}

TEST_CASE("an owner's small bulk change does not queue behind all of another owner's import") {
  SearchWorld world;
  add_contacts(world, 1, 20'000, 1);
  add_contacts(world, 50'001, 50'300, 2);
  world.hand.deliver({{"contact.sync_completed", R"({"owner_id":1})"}});
  search::JobRunner runner;
  for (int i = 0; i < 3; ++i) world.hand.in_transaction()([&](Transaction& tx) { CHECK(runner.run(tx)); });
  world.hand.deliver(upserts(50'001, 50'300, 2));
  // The import has seven more chunks; at most one of them goes first.
  for (int i = 0; i < 2; ++i) world.hand.in_transaction()([&](Transaction& tx) { CHECK(runner.run(tx)); });
  CHECK(world.database.count("SELECT count(*) FROM serving.search_documents WHERE owner_id = 2") == 300);
  CHECK(world.database.count("SELECT count(*) FROM serving.search_jobs") == 6);
}

TEST_CASE("two instances work on different jobs at the same time") {
  SearchWorld world;
  add_contacts(world, 1, 4'000, 1);
  world.hand.deliver({{"contact.sync_completed", R"({"owner_id":1})"}});
  SearchHand other(world.database);
  auto first = world.hand.transactions.begin();
  first->query("SELECT FROM serving.search_jobs ORDER BY position, job_id LIMIT 1 FOR UPDATE", {});
  CHECK(other.run_jobs() == 1);
  first.reset();
  CHECK(other.run_jobs() == 1);
  CHECK(world.differences() == 0);
}

TEST_CASE("a job that fails does not hold up the others") {
  SearchWorld world;
  add_contacts(world, 1, 300, 1);
  add_contacts(world, 1'001, 1'300, 2);
  world.hand.deliver(upserts(1, 300, 1));
  world.hand.deliver(upserts(1'001, 1'300, 2));
  world.change("CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$");
  world.change("CREATE TRIGGER refuse BEFORE INSERT ON serving.search_documents FOR EACH ROW WHEN (new.owner_id = 1) EXECUTE FUNCTION public.refuse()");
  search::JobRunner runner;
  auto run = [&] { world.hand.in_transaction()([&](Transaction& tx) { runner.run(tx); }); };
  CHECK_THROWS_AS(run(), StatementError);
  run();
  CHECK(world.database.count("SELECT count(*) FROM serving.search_documents WHERE owner_id = 2") == 300);
  CHECK(world.database.count("SELECT count(*) FROM serving.search_jobs") == 1);
  world.change("DROP TRIGGER refuse ON serving.search_documents");
  CHECK(world.hand.run_jobs() == 1);
  CHECK(world.differences() == 0);
}
