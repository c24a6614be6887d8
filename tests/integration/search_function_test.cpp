// serving.search: who sees what, what is found, in which order, and when the documents are too old.

#include <catch2/catch_test_macros.hpp>

#include "fixtures/ledger_session.h"
#include "fixtures/server_addresses.h"
#include "search_world.h"
#include "workers/search/reindex.h"
#include "workers/search/watermark.h"

using namespace cutover;
using namespace cutover::test;

namespace {

// Owner 1 has a few contacts, owner 2 too many to be looked at one by one; there are 3,000 profiles.
struct Directory : SearchWorld {
  Directory() {
    change("INSERT INTO app.principals (principal_id, username) SELECT i, lower(f) || '_' || l || '_' || i "
           "FROM generate_series(1, 3000) i, LATERAL (SELECT " + first("i") + " AS f, lower(" + last("i") + ") AS l) n");
    change("INSERT INTO app.profiles (profile_id, owner_principal_id, profile_class, display_name, company_name, job_title, discoverable) "
           "SELECT i, i, 'single', " + first("i") + " || ' ' || " + last("i") + ", CASE WHEN i % 3 = 0 THEN 'Alder Labs' END, CASE WHEN i % 5 = 0 THEN 'Data Engineer' END, true "
           "FROM generate_series(1, 3000) i");
    change("INSERT INTO app.channels (channel_id, principal_id, kind, value, state, verified_at) "
           "SELECT i, i, 'phone', '+4915' || lpad((i * 7919 % 1000000)::text, 6, '0'), 'verified_active', now() FROM generate_series(1, 3000) i");
    change("INSERT INTO app.contacts (contact_id, owner_id, display_name, phone, email, company_name, state) "
           "SELECT i, CASE WHEN i <= 60 THEN 1 ELSE 2 END, " + first("i * 13") + " || ' ' || " + last("i * 7") + ", '0151 ' || (100000 + i), "
           "lower(" + first("i * 13") + ") || i || '@example.com', 'Birch Bank', 'active_confirmed' FROM generate_series(1, 2500) i");
    search::reindex(hand.in_transaction(), {}, [](const search::ReindexProgress&) { return true; }, [](std::chrono::milliseconds) { return true; });
    fresh();
    database.query("ANALYZE serving.search_documents");
  }
  static std::string first(const std::string& i) {
    return "(ARRAY['Anna','Hannah','Jonas','Jonathan','Marta','Marco','Søren','Li','Ibrahim','Zoë'])[1 + (" + i + ") % 10]";
  }
  static std::string last(const std::string& i) {
    return "(ARRAY['Schmidt','Schmitt','Rossi','Lindqvist','Wu','O''Brien','Abdullah'])[1 + (" + i + ") % 7]";
  }
  void fresh() { change("UPDATE serving.search_watermark SET applied_through = now(), at = now()"); }
  postgres::Table search(const std::string& owner, const std::string& query, int limit = 20) {
    return database.query("SELECT doc_id, rank, stale_seconds, owner_id, visibility FROM serving.search($1::bigint, $2, $3::integer)",
                          {owner.empty() ? postgres::Cell() : postgres::Cell(owner), query, std::to_string(limit)});
  }
  std::vector<std::string> found(const std::string& owner, const std::string& query, int limit = 20) {
    std::vector<std::string> ids;
    for (const auto& row : search(owner, query, limit).rows) ids.push_back(*row[0]);
    return ids;
  }
  // The same by looking at every document: the rule itself.
  std::vector<std::string> by_rule(const std::string& owner, const std::string& query) {
    std::vector<std::string> ids;
    for (const auto& row : database.query(R"sql(
      WITH q AS (
        SELECT $2::text AS text,
               CASE WHEN $2 ~ '[^ ]{3}$' AND numnode(plainto_tsquery('simple', $2)) > 0
                    THEN (plainto_tsquery('simple', $2)::text || ':*')::tsquery ELSE plainto_tsquery('simple', $2) END AS words,
               CASE WHEN $2 ~ '^[+]?[0-9 ]+$' THEN regexp_replace($2, '[^0-9]', '', 'g') END AS digits,
               CASE WHEN $2 !~ ' ' AND $2 !~ '^[+]?[0-9 ]+$' THEN lower(ltrim($2, '@')) END AS handle),
      seen AS (
        SELECT d.*, q.*, regexp_replace(d.phone, '[^0-9]', '', 'g') AS number,
               coalesce(greatest(similarity(d.display_name, q.text), similarity(d.username, q.handle),
                 CASE WHEN q.handle ~ '[0-9._@-]' THEN similarity(split_part(d.email, '@', 1), split_part(q.handle, '@', 1)) END,
                 similarity(regexp_replace(d.phone, '[^0-9]', '', 'g'), q.digits)), 0) AS alike
        FROM serving.search_documents d CROSS JOIN q WHERE d.visibility = 'public' OR d.owner_id = $1::bigint)
      SELECT doc_id FROM seen
      WHERE tsv @@ words OR alike >= CASE WHEN digits IS NULL THEN 0.3 WHEN length(digits) >= 9 THEN 0.6 ELSE 2 END
         OR number LIKE digits || '%' OR starts_with(username, handle)
      ORDER BY 2 * ts_rank(tsv, words) + alike DESC, doc_id LIMIT 20)sql", {owner, query}).rows)
      ids.push_back(*row[0]);
    return ids;
  }
};

}  // namespace

TEST_CASE("serving.search shows an owner its own contacts and what is public, and nobody else's contacts") {
  Directory directory;
  for (const char* query : {"anna", "anna schmidt", "birch bank", "0151", "anna1@example.com"})
    for (const char* owner : {"1", "2", "3"})
      for (const auto& row : directory.search(owner, query).rows)
        CHECK((*row[4] == "public" || *row[3] == owner));
  for (const auto& row : directory.search("", "anna").rows) CHECK(*row[4] == "public");
  CHECK(directory.found("3", "birch bank").empty());
  CHECK(directory.found("1", "birch bank").size() == 20);
}

TEST_CASE("serving.search finds and ranks as the rule says, for few contacts and for many") {
  Directory directory;
  for (const char* owner : {"1", "2", "3"})
    for (const char* query :
         {"Anna Schmidt", "anna", "ann", "anna schm", "Jonathan Rosi", "hanna smit", "Zoe", "søren wu", "alder labs", "data engineer", "O'Brien",
          "+4915 0079", "0151 1000", "49150", "+4915007919", "4915007918", "anna_schmidt", "@anna_schmidt_1", "marco1@example.com", "marco",
          "xyzzy", "li", "jonas lindqvist data", "100%", "a_b", "&|!", "  Anna   Schmidt "}) {
      INFO(owner << " " << query);
      std::string trimmed = query;
      if (trimmed.front() == ' ') trimmed = "Anna Schmidt";
      CHECK(directory.found(owner, query) == directory.by_rule(owner, trimmed));
    }
}

TEST_CASE("serving.search ranks by 2 * ts_rank + similarity") {
  Directory directory;
  const auto rows = directory.search("1", "Anna Schmidt").rows;
  REQUIRE_FALSE(rows.empty());
  double before = 1e9;
  for (const auto& row : rows) {
    const double rank = std::stod(*row[1]);
    const double expected = std::stod(directory.database.value(
        "SELECT 2 * ts_rank(tsv, '''anna'' & ''schmidt'':*'::tsquery)::double precision + similarity(display_name, 'Anna Schmidt') "
        "FROM serving.search_documents WHERE doc_id = $1", {*row[0]}));
    CHECK(std::abs(rank - expected) < 1e-6);
    CHECK(rank <= before);
    before = rank;
  }
}

TEST_CASE("serving.search returns at most twenty, and nothing for nothing") {
  Directory directory;
  CHECK(directory.found("1", "anna", 1'000).size() == 20);
  CHECK(directory.found("1", "anna", 3).size() == 3);
  CHECK(directory.found("1", "anna", 0).empty());
  CHECK(directory.found("1", "anna", -1).empty());
  CHECK(directory.found("1", "").empty());
  CHECK(directory.found("1", "   ").empty());
  CHECK(directory.database.count("SELECT count(*) FROM serving.search(1, NULL)") == 0);
  CHECK(directory.database.count("SELECT count(*) FROM serving.search(1, 'anna', NULL)") == 20);
  CHECK(directory.found("1", std::string(100'000, 'x')).empty());
}

TEST_CASE("serving.search finds a username exactly and by its beginning, with its special characters taken literally") {
  Directory directory;
  directory.change("UPDATE serving.search_documents SET username = 'a_b%c' WHERE doc_id = 'profile:5'");
  CHECK(directory.found("1", "@a_b%c").front() == "profile:5");
  CHECK(directory.found("1", "a_b%").front() == "profile:5");
  CHECK(directory.found("1", "A_B%C").front() == "profile:5");
  const auto similar = directory.found("1", "axb");
  CHECK(std::find(similar.begin(), similar.end(), "profile:5") == similar.end());
}

TEST_CASE("serving.search reads indexes, not the table") {
  Directory directory;
  directory.change("INSERT INTO serving.search_documents (doc_id, kind, owner_id, visibility, display_name, tsv) SELECT 'contact:' || i, 'contact', i, 'owner', "
                   "md5(i::text), to_tsvector('simple', md5(i::text)) FROM generate_series(100001, 140000) i");
  directory.database.query("SELECT serving.merge_search_entries()");
  directory.database.query("ANALYZE serving.search_documents");
  const auto scans = [&](const std::string& column, const std::string& relation) {
    directory.database.query("SELECT pg_stat_force_next_flush()");
    return directory.database.count("SELECT " + column + " FROM " + relation);
  };
  const std::string table = "pg_stat_user_tables WHERE schemaname = 'serving' AND relname = 'search_documents'";
  const auto index = [](const std::string& name) {
    return "pg_stat_user_indexes WHERE schemaname = 'serving' AND indexrelname = '" + name + "'";
  };
  const auto sequential = scans("seq_scan", table);
  const auto own = scans("idx_scan", index("search_documents_own")), open = scans("idx_scan", index("search_documents_public"));
  const auto phone = scans("idx_scan", index("search_documents_public_phone")), name = scans("idx_scan", index("search_documents_username"));
  for (const char* query : {"jonathan lindqvist", "jonatan lindqist", "+49150079", "jonas_wu"}) directory.found("2", query);
  CHECK(scans("seq_scan", table) == sequential);
  CHECK(scans("idx_scan", index("search_documents_own")) > own);
  CHECK(scans("idx_scan", index("search_documents_public")) > open);
  CHECK(scans("idx_scan", index("search_documents_public_phone")) > phone);
  CHECK(scans("idx_scan", index("search_documents_username")) > name);
}

TEST_CASE("a projection that is too old answers from the source, and says how old it is") {
  Directory directory;
  directory.change("UPDATE app.contacts SET display_name = 'Quentin Tarrant' WHERE contact_id = 1");
  CHECK(directory.found("1", "quentin tarrant").empty());
  CHECK(*directory.search("1", "anna").rows.front()[2] == "0");
  directory.change("UPDATE serving.search_watermark SET applied_through = now() - interval '61 seconds'");
  const auto rows = directory.search("1", "quentin tarrant").rows;
  REQUIRE(rows.size() == 1);
  CHECK(*rows.front()[0] == "contact:1");
  CHECK(std::stod(*rows.front()[2]) > 60);
  CHECK(std::stod(*rows.front()[2]) < 120);
  // The same documents give the same answer, from the source or not.
  for (const char* query : {"anna schmidt", "hanna smit", "+4915 0079", "jonas_wu", "marco1@example.com", "alder labs"}) {
    INFO(query);
    const auto from_source = directory.found("2", query);
    directory.fresh();
    CHECK(directory.found("2", query) == from_source);
    directory.change("UPDATE serving.search_watermark SET applied_through = now() - interval '1 hour'");
  }
  for (const auto& row : directory.search("3", "birch bank anna").rows) CHECK(*row[4] == "public");
}

TEST_CASE("an owner whose bulk change waits for too long gets its answers from the source, the others do not") {
  Directory directory;
  directory.change("UPDATE app.contacts SET display_name = 'Quentin Tarrant' WHERE contact_id IN (1, 100)");
  directory.hand.deliver({{"contact.sync_completed", R"({"owner_id":2})"}});
  directory.change("UPDATE serving.search_jobs SET created_at = now() - interval '2 minutes'");
  CHECK(directory.found("2", "quentin tarrant") == std::vector<std::string>{"contact:100"});
  CHECK(directory.found("1", "quentin tarrant").empty());
  CHECK(*directory.search("1", "anna").rows.front()[2] == "0");
}

TEST_CASE("the watermark stands at the oldest event that waits or is not settled, else at now") {
  SearchWorld world;
  const auto behind = [&] {
    world.hand.in_transaction()([](Transaction& tx) { search::move_watermark(tx, std::chrono::seconds(90)); });
    return std::stod(world.database.value("SELECT extract(epoch FROM now() - applied_through) FROM serving.search_watermark"));
  };
  const auto put = [&](const std::string& subject, int age, const std::string& published) {
    world.change("INSERT INTO cutover.outbox (message_id, subject, key, payload, created_at, published_at, stream, sequence) VALUES (gen_random_uuid(), '" +
                 subject + "', '1', '', now() - interval '" + std::to_string(age) + " seconds', " + published + ")");
  };
  world.change("SELECT cutover.stream_incarnation('CORE', now()), cutover.stream_incarnation('CONTACT', now())");
  world.change("UPDATE serving.search_watermark SET applied_through = now() - interval '5 minutes'");
  CHECK(behind() < 5);
  CHECK(world.database.value("SELECT stale_after::text FROM serving.search_watermark") == "00:01:30");

  put("score.recompute_requested", 100, "NULL, NULL, NULL");  // not ours
  CHECK(behind() < 5);
  world.change("UPDATE serving.search_watermark SET applied_through = now() - interval '5 minutes'");
  put("contact.edge_upserted", 40, "NULL, NULL, NULL");
  CHECK(behind() > 39);
  CHECK(behind() < 50);
  world.change("DELETE FROM cutover.outbox");
  CHECK(behind() < 5);

  world.change("UPDATE serving.search_watermark SET applied_through = now() - interval '5 minutes'");
  put("contact.edge_upserted", 35, "now() - interval '34 seconds', 'CONTACT', 1");
  put("contact.edge_upserted", 30, "now() - interval '29 seconds', 'CONTACT', 2");
  put("profile.updated", 20, "now() - interval '19 seconds', 'CORE', 1");
  CHECK(behind() > 34);
  LedgerSession ledger(world.database, "search-projector");
  ledger.work("CONTACT", 1, {ledger_event(1)});
  CHECK(behind() > 29);
  CHECK(behind() < 34);
  ledger.work("CONTACT", 1, {ledger_event(2)});
  CHECK(behind() > 19);
  CHECK(behind() < 29);
  ledger.work("CORE", 1, {ledger_event(1)});
  CHECK(behind() < 5);
}

TEST_CASE("after a long outage the watermark stays until the lanes have no backlog") {
  SearchWorld world;
  const auto behind = [&] {
    world.hand.in_transaction()([](Transaction& tx) { search::move_watermark(tx, std::chrono::seconds(60)); });
    return std::stod(world.database.value("SELECT extract(epoch FROM now() - applied_through) FROM serving.search_watermark"));
  };
  world.change("UPDATE serving.search_watermark SET applied_through = now() - interval '9 minutes'");
  CHECK(behind() > 500);
  world.change("SELECT cutover.stream_incarnation('CORE', now()), cutover.stream_incarnation('CONTACT', now())");
  world.change("SELECT cutover.note_no_backlog('search-projector', 'worker', 'CORE', 1)");
  CHECK(behind() > 500);
  world.change("SELECT cutover.note_no_backlog('search-projector', 'worker', 'CONTACT', 1)");
  CHECK(behind() < 5);
}

TEST_CASE("a projection that was never built answers from the source until the first full reindex") {
  SearchWorld world;
  world.change("SELECT cutover.stream_incarnation('CORE', now()), cutover.stream_incarnation('CONTACT', now())");
  world.change("SELECT cutover.note_no_backlog('search-projector', 'worker', 'CORE', 1), cutover.note_no_backlog('search-projector', 'worker', 'CONTACT', 1)");
  world.change("INSERT INTO app.contacts (contact_id, owner_id, display_name, state) VALUES (1, 1, 'Quentin Tarrant', 'active_confirmed')");
  const auto stale = [&] {
    world.hand.in_transaction()([](Transaction& tx) { search::move_watermark(tx, std::chrono::seconds(60)); });
    return std::stod(world.database.value("SELECT stale_seconds FROM serving.search(1, 'quentin')"));
  };
  CHECK(stale() > 1'000'000);
  search::ReindexOptions owner;
  owner.owner = 1;
  for (const search::ReindexOptions& options : {owner, search::ReindexOptions()}) {
    CHECK(stale() > 1'000'000);
    search::reindex(world.hand.in_transaction(), options, [](const search::ReindexProgress&) { return true; },
                    [](std::chrono::milliseconds) { return true; });
  }
  CHECK(stale() == 0);
}

TEST_CASE("the migration says what it misses when the monolith's tables are not there") {
  const std::string name = unique_name("no_app_");
  const std::string server = shared_servers().pg_url;
  const std::string command = "psql -X -q '" + with_database(server, "postgres") + "' -c 'CREATE DATABASE " + name + "' && cd '" CUTOVER_SOURCE_DIR
                              "/migrations/deploy' && for f in schemas ledger outbox dead_letters claim; do psql -X -q -v ON_ERROR_STOP=1 -f $f.sql '" +
                              with_database(server, name) + "' >/dev/null 2>&1 || exit 9; done; psql -X -q -v ON_ERROR_STOP=1 -f search.sql '" +
                              with_database(server, name) + "' 2>&1; psql -X -q '" + with_database(server, "postgres") + "' -c 'DROP DATABASE " + name + "'";
  std::string output;
  FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  char buffer[256];
  while (std::size_t read = ::fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, read);
  ::pclose(pipe);
  CHECK(output.find("the monolith's tables are missing in this database: app.channels, app.circle_members") != std::string::npos);
  CHECK(output.find("HINT:  Deploy into the database of the monolith.") != std::string::npos);
}
