// `cutover audit` on worlds whose ledger, streams and consumers are known.
#include <signal.h>

#include <atomic>
#include <thread>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "fixtures/waiting.h"
#include "integration/audit_world.h"

using namespace cutover::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

namespace {

using Sequences = std::vector<std::uint64_t>;

std::vector<std::string> keys(std::size_t count) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back("k" + std::to_string(i));
  return all;
}

void read_contacts(AuditWorld& world, std::size_t count, bool ack = true,
                   const std::string& side = "search-projector") {
  world.read(side, "contact", "CONTACT", "contact.>", count, ack);
}

// A segment over the whole stream CONTACT.
void own(AuditWorld& world, const std::string& mode, const std::string& percent = "0") {
  world.db.query(
      "INSERT INTO cutover.ownership (worker_id, epoch, stream_id, from_sequence, mode, percent, actor, "
      "reason) "
      "SELECT worker_id, 1, stream_id, 1, $1, $2::numeric, 'test', 'test' FROM cutover.workers CROSS JOIN "
      "cutover.streams "
      "WHERE worker = 'search-projector' AND stream = 'CONTACT'",
      {mode, percent});
}

void forget(AuditWorld& world, const std::string& multirange) {
  world.db.query("UPDATE cutover.settlements SET sequences = sequences - $1::int8multirange", {multirange});
}

}  // namespace

TEST_CASE("every sequence has one class, and a clean world strands none", "[audit]") {
  AuditWorld world;
  world.publish("contact.edge_upserted", keys(12));
  world.settle("CONTACT", {1, 2, 3, 4, 5, 6, 7}, "aaaadnx");
  read_contacts(world, 7);
  world.broker.remove("CONTACT", 11);
  own(world, "monolith");
  world.settle("CONTACT", {8}, "a", "monolith");
  world.heartbeat();
  read_contacts(world, 8, true, "monolith");
  read_contacts(world, 2, false);  // 8 and 9, on their way

  // Two lanes of one stream, among subjects that are no lane's.
  world.publish("profile.updated", keys(2));
  world.publish("org.created", keys(3));
  world.publish("identity.principal_created", keys(1));
  world.publish("trust.restricted", keys(1));
  world.settle("CORE", {1, 2});
  world.read("search-projector", "profile", "CORE", "profile.>", 2);

  const auto answer = world.audit();
  INFO(answer.document.dump(1) << answer.err);
  CHECK(answer.code == 0);
  CHECK(answer.document["stranded"] == 0);
  const std::map<std::string, std::uint64_t> contact{
      {"applied", 4},    {"duplicate", 1}, {"not_addressed", 1}, {"dead_letter", 1},     {"seized", 0},
      {"other_side", 1}, {"deleted", 1},   {"in_flight", 3},     {"below_retention", 0}, {"stranded", 0}};
  for (const auto& [audit_class, count] : contact) {
    CAPTURE(audit_class);
    CHECK(answer.count("CONTACT", audit_class) == count);
  }
  CHECK(answer.count("CORE", "applied") == 2);
  CHECK(answer.count("CORE", "in_flight") == 1);
  CHECK(answer.count("CORE", "deleted") == 0);
  CHECK_THAT(world.run({"audit", "search-projector"}).out, ContainsSubstring("other side"));
}

TEST_CASE("a sequence that left the ledger is named, and so is nothing else", "[audit]") {
  AuditWorld world;
  world.publish("contact.edge_upserted", keys(300));
  std::vector<std::int64_t> all;
  for (int i = 1; i <= 300; ++i) all.push_back(i);
  world.settle("CONTACT", all);
  read_contacts(world, 300);
  CHECK(world.audit().code == 0);

  forget(world, "{[3,4),[100,102)}");
  const auto answer = world.audit();
  CHECK(answer.code == 1);
  CHECK(answer.stranded() == Sequences{3, 100, 101});
  CHECK(answer.count("CONTACT", "applied") == 297);
  const json& first = answer.document["streams"][0]["stranded"][0];
  CHECK(first["subject"] == "contact.edge_upserted");
  CHECK(first["lane"] == "contact");
  CHECK(first["owner"] == "worker");
  CHECK(first["message_id"] == uuid_of("event 3"));
  CHECK(world.audit({"--from-seq", "100"}).stranded() == Sequences{100, 101});
  CHECK(world.audit({"--from-seq", "102"}).code == 0);

  const Ended human = world.run({"audit", "search-projector"});
  CHECK(human.code == 1);
  CHECK_THAT(human.out, ContainsSubstring("CONTACT/3 ") && ContainsSubstring("CONTACT/101 ") &&
                            ContainsSubstring("3 events acknowledged by the owner, and in nobody's ledger"));

  forget(world, "{[200,300)}");  // more than are asked for one by one
  CHECK(world.audit().stranded().size() == 103);
  CHECK_THAT(world.run({"audit", "search-projector"}).out, ContainsSubstring("... and 83 more"));
}

TEST_CASE("what retention took before it was settled is below retention", "[audit]") {
  AuditWorld world;
  world.publish("contact.edge_upserted", keys(10));
  world.settle("CONTACT", {3, 6, 7});
  read_contacts(world, 10);
  world.broker.connection.request("$JS.API.STREAM.PURGE.CONTACT", R"({"seq": 6})",
                                  std::chrono::steady_clock::now() + 5s);
  const auto answer = world.audit();
  CHECK(answer.count("CONTACT", "below_retention") == 4);
  CHECK(answer.count("CONTACT", "applied") == 3);
  CHECK(answer.stranded() == Sequences{8, 9, 10});
}

TEST_CASE("what lies before the beginning of a consumer that was made anew is not waited for", "[audit]") {
  AuditWorld world;
  world.publish("contact.edge_upserted", keys(5));
  world.settle("CONTACT", {1, 2, 5});
  world.broker.admin.put_consumer("CONTACT", {{"durable_name", "search-projector-contact"},
                                              {"ack_policy", "explicit"},
                                              {"filter_subject", "contact.>"},
                                              {"deliver_policy", "by_start_sequence"},
                                              {"opt_start_seq", 6}});
  CHECK(world.audit().stranded() == Sequences{3, 4});
}

TEST_CASE("whose consumer counts is decided by the segments", "[audit]") {
  AuditWorld world;
  own(world, "shadow");
  world.heartbeat();
  world.publish("contact.edge_upserted", keys(6));
  read_contacts(world, 6);  // the worker passed over all of them
  read_contacts(world, 2, true, "monolith");
  world.settle("CONTACT", {1}, "a", "monolith");
  CHECK(world.audit().stranded() == Sequences{2});
  CHECK(world.audit().document["streams"][0]["stranded"][0]["owner"] == "monolith");
  CHECK(world.audit().count("CONTACT", "in_flight") == 4);

  world.db.query("DELETE FROM cutover.instances");
  const auto unknown = world.audit();
  CHECK(unknown.code == 2);
  CHECK(unknown.document["streams"][0]["unknown_consumer"] == 5);
  CHECK_THAT(unknown.err, ContainsSubstring("heartbeat"));
}

TEST_CASE("before anything was decided events are the first owner's", "[audit]") {
  AuditWorld world;
  world.heartbeat();
  world.publish("contact.edge_upserted", keys(3));
  read_contacts(world, 3);
  read_contacts(world, 1, true, "monolith");
  CHECK(world.audit().stranded() == Sequences{1, 2, 3});
  world.db.query("UPDATE cutover.workers SET first_owner = 'monolith'");
  CHECK(world.audit().stranded() == Sequences{1});
}

TEST_CASE("in a canary the key decides, from the header or from the body", "[audit]") {
  const bool key_header = GENERATE(true, false);
  AuditWorld world;
  own(world, "canary", "1");
  world.heartbeat();
  // Buckets 99, the worker's, and 100, the monolith's.
  world.publish("contact.edge_upserted", {"subject-5097", "subject-2347", "subject-5097", "subject-2347"},
                key_header);
  world.settle("CONTACT", {1});
  read_contacts(world, 4);
  read_contacts(world, 1, true, "monolith");
  const auto answer = world.audit();
  CHECK(answer.stranded() == Sequences{3});
  CHECK(answer.count("CONTACT", "in_flight") == 2);
}

TEST_CASE("another incarnation, and a broker that is away, leave the audit inconclusive", "[audit]") {
  AuditWorld world;
  world.publish("contact.edge_upserted", keys(3));
  world.settle("CONTACT", {1, 2, 3});
  read_contacts(world, 3);
  world.db.query(
      "UPDATE cutover.streams SET created_at = created_at - interval '1 day' WHERE stream = 'CORE'");
  const auto other = world.audit();
  CHECK(other.code == 2);
  CHECK(other.count("CONTACT", "applied") == 3);
  CHECK_THAT(other.err, ContainsSubstring("stream CORE is another one than incarnation 1"));

  world.nats.stop();
  const auto away = world.audit();
  CHECK(away.code == 2);
  CHECK(away.count("CONTACT", "applied") == 3);
  CHECK(away.document["effects"].is_null());

  auto nowhere = world.environment();
  nowhere["CUTOVER_POSTGRES_URL"] = "postgresql://127.0.0.1:1/x";
  CHECK(run_cutover({"audit", "search-projector"}, nowhere).code == 3);
}

TEST_CASE("a stream that ends before its ledger is reported", "[audit]") {
  AuditWorld world;
  world.publish("contact.edge_upserted", keys(3));
  world.settle("CONTACT", {1, 2, 3, 4, 5});
  const auto answer = world.audit();
  CHECK(answer.code == 2);
  CHECK_THAT(answer.err, ContainsSubstring("ends at 3, but sequences up to 5 were settled"));
}

TEST_CASE("an outgoing event that its stream lost is named, and redrive brings it back", "[audit]") {
  AuditWorld world;
  auto search = world.broker.admin.stream("SEARCH").value().at("config");
  search["duplicate_window"] = 100'000'000;  // within it the broker would take the event for a duplicate
  world.broker.admin.update_stream(search);
  world.db.query(
      "INSERT INTO cutover.outbox (message_id, event_id, subject, key, payload, worker_id) "
      "SELECT 'm' || i, 'm' || i, 'search.document_changed', 'k', '{}', worker_id FROM generate_series(1, 3) "
      "i, cutover.workers "
      "WHERE worker = 'search-projector' ORDER BY i");
  Process relay(cutover_command({"relay"}), world.environment());
  REQUIRE(relay.wait_for("\"msg\":\"started\"", 20s));
  const auto all_published = [&] {
    return world.db.count("SELECT count(*) FROM cutover.outbox WHERE published_at IS NULL") == 0;
  };
  REQUIRE(eventually(all_published));
  CHECK(world.audit().code == 0);
  CHECK(world.audit().document["effects"]["published"] == 3);

  world.broker.remove("SEARCH", 2);
  const auto lost = world.audit();
  CHECK(lost.code == 1);
  REQUIRE(lost.document["effects"]["missing"].size() == 1);
  CHECK(lost.document["effects"]["missing"][0]["message_id"] == "m2");
  CHECK(lost.document["effects"]["missing"][0]["sequence"] == 2);
  CHECK(lost.document["effects"]["redriven"] == 0);
  CHECK_THAT(world.run({"audit", "search-projector"}).out,
             ContainsSubstring("SEARCH/2") && ContainsSubstring("--redrive"));

  CHECK(eventually([&] {
    world.audit({"--redrive"});
    return eventually(all_published) && world.audit().code == 0;
  }));
  CHECK(world.db.value("SELECT sequence FROM cutover.outbox WHERE message_id = 'm2'") == "4");
  CHECK(world.broker.message("SEARCH", 4).value().header("Nats-Msg-Id") == "m2");

  relay.signal(SIGTERM);
  relay.wait();
  world.db.query(
      "INSERT INTO cutover.outbox (message_id, subject, key, payload, worker_id, created_at) "
      "SELECT 'late', 'search.document_changed', 'k', '{}', worker_id, now() - interval '2 minutes' FROM "
      "cutover.workers WHERE worker "
      "= 'search-projector'");
  const auto late = world.audit();
  CHECK(late.code == 0);
  CHECK(late.document["effects"]["waiting"] == 1);
  CHECK_THAT(world.run({"audit", "search-projector"}).out, ContainsSubstring("1 outgoing event waiting"));
}

TEST_CASE("a monolith behind its gate is audited through the durables that it names", "[audit]") {
  AuditWorld world;
  own(world, "monolith");
  Process monolith({CUTOVER_BINARY_DIR "/tests/monolith/monolith", "serve", "--nats", world.nats.url(),
                    "--pg", world.db.url()});
  world.publish("contact.edge_upserted", keys(80));
  CHECK(eventually([&] {
    const auto answer = world.audit();
    return answer.code == 0 && answer.count("CONTACT", "other_side") == 80;
  }));
  forget(world, "{[5,6)}");
  const auto answer = world.audit();
  INFO(answer.document.dump(1) << answer.err << monolith.err());
  CHECK(answer.stranded() == Sequences{5});
  CHECK(answer.document["streams"][0]["stranded"][0]["owner"] == "monolith");
  monolith.signal(SIGTERM);
  CHECK(monolith.wait().code == 0);
}

TEST_CASE("beside a worker under load no audit finds anything stranded", "[audit]") {
  AuditWorld world;
  Process worker(cutover_command({"run", "search-projector"}), world.environment());
  REQUIRE(worker.wait_for("\"msg\":\"started\"", 20s));
  std::atomic<bool> enough = false;
  std::size_t published = 0;
  std::jthread load([&] {
    for (; !enough; published += 200) {
      world.publish("contact.edge_upserted", keys(100));
      world.publish("profile.updated", keys(50));
      world.publish("org.created", keys(50));
    }
  });
  std::uint64_t applied = 0, in_flight = 0;
  for (int round = 0; round < 25; ++round) {
    const auto answer = world.audit();
    INFO(answer.document.dump(1) << answer.err);
    CHECK(answer.code == 0);
    CHECK(answer.stranded().empty());
    in_flight += answer.count("CONTACT", "in_flight") + answer.count("CORE", "in_flight");
    applied = answer.count("CONTACT", "applied");
  }
  enough = true;
  load.join();
  CHECK(applied > 0);
  CHECK(in_flight > 0);  // it looked while there was something to get wrong
  CHECK(eventually([&] {
    const auto answer = world.audit();
    return answer.count("CONTACT", "in_flight") == 0 && answer.count("CORE", "in_flight") == 0;
  }));
  const auto answer = world.audit();
  CHECK(answer.code == 0);
  std::uint64_t counted = 0;
  for (const json& stream : answer.document["streams"])
    for (const json& count : stream["counts"]) counted += count.get<std::uint64_t>();
  CHECK(counted == published / 200 * 150);
}
