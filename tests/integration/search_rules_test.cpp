// The rules of a document, each by name, through the worker on a real PostgreSQL.

#include <catch2/catch_test_macros.hpp>

#include "fixtures/server_addresses.h"
#include "search_world.h"

using namespace cutover;
using namespace cutover::test;

namespace {

// Principal 1 (anna) with a single profile 1, a phone and an email that are verified; contact 1 of principal 1.
struct Anna : SearchWorld {
  Anna() {
    change("INSERT INTO app.principals (principal_id, username) VALUES (1, 'anna'), (2, 'ben')");
    change("INSERT INTO app.profiles (profile_id, owner_principal_id, profile_class, display_name, company_name, job_title, discoverable) "
           "VALUES (1, 1, 'single', 'Anna Schmidt', 'Alder Labs', 'Pilot', true)");
    change("INSERT INTO app.channels (channel_id, principal_id, kind, value, state, verified_at) VALUES "
           "(1, 1, 'phone', '+491511', 'verified_active', '2026-01-01'), (2, 1, 'email', 'anna@example.com', 'verified_active', '2026-01-01')");
    change("INSERT INTO app.contacts (contact_id, owner_id, target_id, display_name, phone, email, company_name, job_title, state) "
           "VALUES (1, 1, 2, 'Ben from school', '+441', 'ben@example.com', 'Birch Bank', 'Chef', 'active_confirmed')");
    hand.deliver({{"profile.created", R"({"profile_id":1,"owner_principal_id":1,"profile_class":"single"})"},
                  {"contact.edge_upserted", R"({"contact_id":1,"owner_id":1})"}});
    take_outgoing();
  }
  void contact_changes(const std::string& set, const char* event = "contact.edge_upserted") {
    change("UPDATE app.contacts SET " + set + " WHERE contact_id = 1");
    hand.deliver({{event, R"({"contact_id":1,"owner_id":1})"}});
  }
  void profile_changes(const std::string& set, const char* event = "profile.updated") {
    change("UPDATE app.profiles SET " + set + " WHERE profile_id = 1");
    hand.deliver({{event, R"({"profile_id":1,"owner_principal_id":1})"}});
  }
  void channel_changes(int channel, const std::string& set, const char* event) {
    change("UPDATE app.channels SET " + set + " WHERE channel_id = " + std::to_string(channel));
    hand.deliver({{event, R"({"channel_id":)" + std::to_string(channel) + R"(,"principal_id":1})"}});
  }
};

}  // namespace

TEST_CASE("a contact's document shows what its owner typed, to the owner only") {
  Anna world;
  CHECK(world.differences() == 0);
  CHECK(world.field("contact:1", "kind") == "contact");
  CHECK(world.field("contact:1", "visibility") == "owner");
  CHECK(world.field("contact:1", "owner_id") == "1");
  CHECK(world.field("contact:1", "display_name") == "Ben from school");
  CHECK(world.field("contact:1", "phone") == "+441");
  CHECK(world.field("contact:1", "email") == "ben@example.com");
  CHECK(world.field("contact:1", "username").empty());
  CHECK(world.field("contact:1", "stream") == "CONTACT");
  CHECK(world.field("contact:1", "seq") == "2");
  world.contact_changes("display_name = 'Benjamin', phone = NULL");
  CHECK(world.field("contact:1", "display_name") == "Benjamin");
  CHECK(world.field("contact:1", "phone").empty());
  CHECK(world.differences() == 0);
}

TEST_CASE("a document's words have the weights A to D") {
  Anna world;
  world.change("INSERT INTO app.circles (circle_id, owner_id, name) VALUES (1, 1, 'Choir')");
  world.change("INSERT INTO app.circle_members VALUES (1, 1)");
  world.hand.deliver({{"policy.circle_created", R"({"circle_id":1,"owner_id":1,"contact_ids":[1]})"}});
  const std::string tsv = world.field("contact:1", "tsv::text");
  CHECK(tsv.find("'ben':1A") != std::string::npos);
  CHECK(tsv.find("'ben@example.com':") != std::string::npos);
  CHECK(tsv.find("'birch':") != std::string::npos);
  CHECK(tsv.find("B ") != std::string::npos);
  CHECK(tsv.find("C ") != std::string::npos);
  CHECK(tsv.find("'choir':") != std::string::npos);
  CHECK(world.database.value("SELECT tsv @@ 'choir:D' AND tsv @@ 'chef:C' AND NOT tsv @@ 'choir:A' FROM serving.search_documents WHERE doc_id = 'contact:1'") == "t");
}

TEST_CASE("a tombstoned or archived contact has no document, and gets it back when restored") {
  Anna world;
  for (const char* state : {"tombstoned", "archived"}) {
    world.contact_changes(std::string("state = '") + state + "'", "contact.edge_deleted");
    CHECK_FALSE(world.exists("contact:1"));
    CHECK(world.take_outgoing() == std::vector<std::string>{"search.document_deleted contact:1"});
    world.contact_changes("state = 'active_probable'", "contact.edge_restored");
    CHECK(world.exists("contact:1"));
    CHECK(world.take_outgoing() == std::vector<std::string>{"search.document_upserted contact:1"});
  }
  for (const char* state : {"stale_decay", "dormant", "active_confirmed"}) {
    world.contact_changes(std::string("state = '") + state + "'", "contact.edge_stale_marked");
    CHECK(world.exists("contact:1"));
  }
}

TEST_CASE("a contested contact has no document until the split is applied") {
  Anna world;
  world.contact_changes("contested = true", "contact.merge_contested");
  CHECK_FALSE(world.exists("contact:1"));
  world.contact_changes("contested = false", "contact.merge_split_applied");
  CHECK(world.exists("contact:1"));
}

TEST_CASE("a contact that is gone from the table has no document") {
  Anna world;
  world.change("DELETE FROM app.contacts");
  world.hand.deliver({{"contact.edge_deleted", R"({"contact_id":1,"owner_id":1})"}});
  CHECK_FALSE(world.exists("contact:1"));
}

TEST_CASE("a contact's circles are in its document, each name once and sorted") {
  Anna world;
  world.change("INSERT INTO app.circles (circle_id, owner_id, name) VALUES (1, 1, 'Choir'), (2, 1, 'Board games'), (3, 1, 'Choir')");
  world.change("INSERT INTO app.circle_members VALUES (1, 1), (2, 1), (3, 1)");
  world.hand.deliver({{"policy.circle_membership_changed", R"({"circle_id":1,"owner_id":1,"contact_ids":[1]})"}});
  CHECK(world.field("contact:1", "circle_names") == "{\"Board games\",Choir}");
  world.change("DELETE FROM app.circle_members");
  world.hand.deliver({{"policy.circle_membership_changed", R"({"circle_id":1,"owner_id":1,"contact_ids":[1]})"}});
  CHECK(world.field("contact:1", "circle_names") == "{}");
  CHECK(world.differences() == 0);
}

TEST_CASE("a single or employee profile is found when discoverable, and only then") {
  Anna world;
  for (const char* profile_class : {"single", "employee"}) {
    world.profile_changes(std::string("profile_class = '") + profile_class + "', discoverable = true", "profile.class_changed");
    CHECK(world.field("profile:1", "kind") == "profile");
    CHECK(world.field("profile:1", "visibility") == "public");
    CHECK(world.field("profile:1", "owner_id") == "1");
    CHECK(world.field("profile:1", "username") == "anna");
    for (const char* hidden : {"false", "NULL"}) {
      world.profile_changes(std::string("discoverable = ") + hidden, "profile.visibility_changed");
      CHECK_FALSE(world.exists("profile:1"));
    }
  }
}

TEST_CASE("a business profile is found unless it is not discoverable") {
  Anna world;
  for (const char* shown : {"true", "NULL"}) {
    world.profile_changes(std::string("profile_class = 'business', discoverable = ") + shown, "profile.class_changed");
    CHECK(world.field("profile:1", "kind") == "business");
    CHECK(world.field("profile:1", "phone") == "+491511");
  }
  world.profile_changes("discoverable = false", "profile.visibility_changed");
  CHECK_FALSE(world.exists("profile:1"));
}

TEST_CASE("a shadow profile is found only after an explicit opt-in, and leads nowhere") {
  Anna world;
  for (const char* hidden : {"NULL", "false"}) {
    world.profile_changes(std::string("profile_class = 'shadow', discoverable = ") + hidden, "profile.class_changed");
    CHECK_FALSE(world.exists("profile:1"));
  }
  world.profile_changes("discoverable = true", "profile.visibility_changed");
  CHECK(world.exists("profile:1"));
  CHECK(world.field("profile:1", "kind") == "profile");
  for (const char* lead : {"owner_id", "username", "phone", "email"}) CHECK(world.field("profile:1", lead).empty());
  CHECK(world.field("profile:1", "tsv::text").find("anna@") == std::string::npos);
  world.take_outgoing();
  world.profile_changes("job_title = 'Baker'");
  const std::string envelope = world.database.value("SELECT convert_from(payload, 'UTF8') FROM cutover.outbox");
  CHECK(envelope.find("profile:1") != std::string::npos);
  CHECK(envelope.find("owner_id") == std::string::npos);
}

TEST_CASE("a profile of an unknown class is not found") {
  Anna world;
  world.profile_changes("profile_class = 'robot'", "profile.class_changed");
  CHECK_FALSE(world.exists("profile:1"));
}

TEST_CASE("the profiles of a restricted owner are not found, and come back when it is restored") {
  Anna world;
  world.change("INSERT INTO app.profiles (profile_id, owner_principal_id, profile_class, display_name) VALUES (2, 1, 'business', 'Alder')");
  world.change("UPDATE app.principals SET status = 'restricted' WHERE principal_id = 1");
  world.hand.deliver({{"identity.account_restricted", R"({"principal_id":1})"}});
  CHECK_FALSE(world.exists("profile:1"));
  CHECK_FALSE(world.exists("profile:2"));
  CHECK(world.exists("contact:1"));  // its own contacts are its own business
  world.change("UPDATE app.principals SET status = 'active' WHERE principal_id = 1");
  world.hand.deliver({{"identity.account_restored", R"({"principal_id":1})"}});
  CHECK(world.exists("profile:1"));
  CHECK(world.exists("profile:2"));
  CHECK(world.differences() == 0);
}

TEST_CASE("a username is in every profile of its principal, until it is released") {
  Anna world;
  world.change("INSERT INTO app.profiles (profile_id, owner_principal_id, profile_class, display_name) VALUES (2, 1, 'business', 'Alder')");
  world.change("UPDATE app.principals SET username = 'anna_s' WHERE principal_id = 1");
  world.hand.deliver({{"identity.username_assigned", R"({"principal_id":1})"}});
  CHECK(world.field("profile:1", "username") == "anna_s");
  CHECK(world.field("profile:2", "username") == "anna_s");
  world.change("UPDATE app.principals SET username = NULL WHERE principal_id = 1");
  world.hand.deliver({{"identity.username_released", R"({"principal_id":1})"}});
  CHECK(world.field("profile:1", "username").empty());
  CHECK(world.differences() == 0);
}

TEST_CASE("a channel that leaves verified is gone from the document at once, in whatever state") {
  Anna world;
  CHECK(world.field("profile:1", "phone") == "+491511");
  for (const char* state : {"unclaimed", "claim_pending", "challenged", "limited", "disputed", "transferred", "revoked"}) {
    world.channel_changes(1, std::string("state = '") + state + "'", "channel.ownership_challenged");
    INFO(state);
    CHECK(world.field("profile:1", "phone").empty());
    CHECK(world.field("profile:1", "email") == "anna@example.com");
    CHECK(world.field("profile:1", "tsv::text").find("491511") == std::string::npos);
    world.channel_changes(1, "state = 'verified_active'", "channel.claim_verified");
    CHECK(world.field("profile:1", "phone") == "+491511");
  }
  world.channel_changes(1, "state = 'recovered'", "channel.ownership_recovered");
  CHECK(world.field("profile:1", "phone") == "+491511");
}

TEST_CASE("of several verified channels of a kind the earliest is shown") {
  Anna world;
  world.change("INSERT INTO app.channels (channel_id, principal_id, kind, value, state, verified_at) VALUES "
               "(3, 1, 'phone', '+49152', 'verified_active', '2025-01-01'), (4, 1, 'phone', '+49153', 'recovered', '2025-06-01'), "
               "(5, 1, 'phone', '+49150', 'challenged', '2024-01-01')");
  world.hand.deliver({{"channel.claim_verified", R"({"channel_id":3,"principal_id":1})"}});
  CHECK(world.field("profile:1", "phone") == "+49152");
  world.channel_changes(3, "state = 'limited'", "channel.ownership_limited");
  CHECK(world.field("profile:1", "phone") == "+49153");
  world.channel_changes(4, "state = 'revoked'", "channel.ownership_revoked");
  CHECK(world.field("profile:1", "phone") == "+491511");
}

TEST_CASE("a transferred channel leaves its old owner and, once verified, is the new owner's") {
  Anna world;
  world.change("INSERT INTO app.profiles (profile_id, owner_principal_id, profile_class, display_name, discoverable) VALUES (2, 2, 'single', 'Ben', true)");
  world.channel_changes(1, "state = 'disputed'", "channel.dispute_opened");
  world.change("UPDATE app.channels SET principal_id = 2, state = 'transferred' WHERE channel_id = 1");
  world.hand.deliver({{"channel.ownership_transferred", R"({"channel_id":1,"principal_id":1})"}});
  CHECK(world.field("profile:1", "phone").empty());
  CHECK(world.exists("profile:2"));  // the present owner is looked up, whoever the event names
  world.change("UPDATE app.channels SET state = 'verified_active' WHERE channel_id = 1");
  world.hand.deliver({{"channel.claim_verified", R"({"channel_id":1,"principal_id":2})"}});
  CHECK(world.field("profile:2", "phone") == "+491511");
  CHECK(world.differences() == 0);
}

TEST_CASE("a completed sync renews every contact of its owner, and drops what is gone") {
  Anna world;
  world.change("INSERT INTO app.contacts (contact_id, owner_id, display_name, state) SELECT 100 + i, 1, 'Contact ' || i, 'active_confirmed' FROM generate_series(1, 50) i");
  world.hand.deliver({{"contact.sync_completed", R"({"owner_id":1,"edges":50})"}});
  CHECK(world.database.count("SELECT count(*) FROM serving.search_documents WHERE visibility = 'owner'") == 51);
  world.change("DELETE FROM app.contacts WHERE contact_id > 140");
  world.hand.deliver({{"contact.sync_completed", R"({"owner_id":1,"edges":40})"}});
  CHECK(world.database.count("SELECT count(*) FROM serving.search_documents WHERE visibility = 'owner'") == 41);
  CHECK(world.differences() == 0);
}

TEST_CASE("an event is sent only where something changed, with ids and a version that grows") {
  Anna world;
  world.hand.deliver({{"contact.edge_upserted", R"({"contact_id":1,"owner_id":1})"}, {"profile.updated", R"({"profile_id":1})"},
                      {"contact.edge_deleted", R"({"contact_id":77,"owner_id":1})"}});
  CHECK(world.take_outgoing().empty());
  world.contact_changes("last_evidence_at = now(), confidence = 0.5");  // nothing that a reader sees
  CHECK(world.take_outgoing().empty());
  world.contact_changes("job_title = 'Baker'");
  const auto version = [&] {
    return world.database.count("SELECT (convert_from(payload, 'UTF8')::jsonb #>> '{subject,version}')::bigint FROM cutover.outbox");
  };
  const std::int64_t first = version();
  CHECK(world.database.value("SELECT convert_from(payload, 'UTF8')::jsonb #>> '{payload}' FROM cutover.outbox") ==
        R"({"kind": "contact", "doc_id": "contact:1", "owner_id": 1, "contact_id": 1})");
  CHECK(world.database.value("SELECT convert_from(payload, 'UTF8')::jsonb ->> 'causation_id' FROM cutover.outbox").starts_with("event-"));
  world.take_outgoing();
  world.contact_changes("state = 'tombstoned'", "contact.edge_deleted");
  CHECK(version() > first);
}

TEST_CASE("a row that did not change keeps the event that last changed it") {
  Anna world;
  world.hand.deliver({{"contact.edge_upserted", R"({"contact_id":1,"owner_id":1})", 900}});
  CHECK(world.field("contact:1", "seq") == "2");
  world.change("UPDATE app.contacts SET job_title = 'Baker' WHERE contact_id = 1");
  world.hand.deliver({{"contact.edge_upserted", R"({"contact_id":1,"owner_id":1})", 901}});
  CHECK(world.field("contact:1", "seq") == "901");
  world.change("UPDATE app.contacts SET job_title = 'Pilot' WHERE contact_id = 1");
  world.hand.deliver({{"contact.edge_upserted", R"({"contact_id":1,"owner_id":1})", 500}});  // late
  CHECK(world.field("contact:1", "job_title") == "Pilot");
  CHECK(world.field("contact:1", "seq") == "901");
  world.change("UPDATE app.contacts SET job_title = 'Chef' WHERE contact_id = 1");
  world.hand.deliver({{"policy.circle_membership_changed", R"({"contact_ids":[1]})", 7}});  // another stream
  CHECK(world.field("contact:1", "stream") == "CORE");
  CHECK(world.field("contact:1", "seq") == "7");
}

TEST_CASE("a payload without ids is a dead letter, and the rest of its batch goes on") {
  Anna world;
  world.change("UPDATE app.contacts SET job_title = 'Baker' WHERE contact_id = 1");
  const auto verdicts = world.hand.deliver({{"contact.edge_upserted", R"({"owner_id":1})"},
                                            {"contact.edge_upserted", R"({"contact_id":1,"owner_id":1})"},
                                            {"profile.updated", R"({"profile_id":"one"})"}});
  REQUIRE(verdicts.size() == 3);
  CHECK(std::get<DeadLetter>(verdicts[0]).reason == "contact.edge_upserted: payload.contact_id is missing");
  CHECK(std::holds_alternative<Done>(verdicts[1]));
  CHECK(std::holds_alternative<DeadLetter>(verdicts[2]));
  CHECK(world.field("contact:1", "job_title") == "Baker");
}

TEST_CASE("in shadow the worker writes its own tables and nothing else") {
  Anna world;
  world.change("UPDATE app.contacts SET display_name = 'B.' WHERE contact_id = 1");
  world.hand.deliver({{"contact.edge_upserted", R"({"contact_id":1,"owner_id":1})"}}, true);
  CHECK(world.field("contact:1", "display_name", "shadow") == "B.");
  CHECK(world.field("contact:1", "display_name") == "Ben from school");
  CHECK(world.take_outgoing() == std::vector<std::string>{"shadow.search.document_upserted contact:1"});
}

TEST_CASE("texts of any length are projected") {
  Anna world;
  world.change("UPDATE app.contacts SET display_name = repeat('Ben ', 200000), phone = repeat('1', 5000), email = repeat('b', 5000) || '@example.com', "
               "company_name = (SELECT string_agg('w' || i, ' ') FROM generate_series(1, 200000) i) WHERE contact_id = 1");
  world.change("UPDATE app.principals SET username = (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 60) i) WHERE principal_id = 1");
  world.hand.deliver({{"contact.edge_upserted", R"({"contact_id":1,"owner_id":1})"}, {"identity.username_assigned", R"({"principal_id":1})"}});
  CHECK(world.differences() == 0);
  CHECK(world.field("contact:1", "length(display_name)") == "800000");
}

TEST_CASE("the worker's own role is enough for all of its work") {
  Anna world;
  const std::string role = unique_name("projector_");
  world.change("CREATE ROLE " + role + " LOGIN IN ROLE cutover_search_projector");
  {
    SearchHand hand(world.database, role);
    world.change("UPDATE app.contacts SET job_title = 'Baker' WHERE contact_id = 1");
    world.change("INSERT INTO app.contacts (contact_id, owner_id, display_name, state) SELECT 1000 + i, 9, 'Contact ' || i, 'active_confirmed' FROM generate_series(1, 300) i");
    hand.deliver({{"contact.edge_upserted", R"({"contact_id":1,"owner_id":1})"}, {"identity.principal_updated", R"({"principal_id":1})"},
                  {"channel.claim_verified", R"({"channel_id":1,"principal_id":1})"}, {"contact.sync_completed", R"({"owner_id":9})"}});
    hand.deliver({{"contact.edge_upserted", R"({"contact_id":1,"owner_id":1})"}}, true);
    CHECK(hand.run_jobs() == 1);
    const WorkerSpec spec = search_projector_spec(std::make_shared<search::SearchSettings>());
    for (const Chore& chore : spec.chores) hand.in_transaction()([&](Transaction& tx) { chore.run(tx); });
  }
  CHECK(world.field("contact:1", "job_title") == "Baker");
  CHECK(world.differences() == 0);
  world.change("DROP OWNED BY " + role);
  world.change("DROP ROLE " + role);
}
