// The worker with everything real: broker, claims, lanes, relay, restarts.
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <map>
#include <random>

#include <nlohmann/json.hpp>

#include "dispute_rig.h"
#include "fixtures/ledger_session.h"
#include "fixtures/private_servers.h"
#include "fixtures/waiting.h"
#include "runtime/contract/timestamp.h"

using namespace cutover;
using namespace cutover::test;
using namespace std::chrono_literals;

namespace {

std::string time_text(Instant at) {
  std::string text;
  append_timestamp(text, at);
  return text;
}

std::string otp(bool incumbent, bool challenger) {
  return std::string(R"({"incumbent_otp":)") + (incumbent ? "true" : "false") + R"(,"challenger_otp":)" + (challenger ? "true" : "false") +
         R"(,"incumbent_device_days":1,"challenger_device_days":1})";
}

CaseMessage opened(std::int64_t id, const std::string& type, const std::string& severity, const std::string& evidence, Instant at,
                   const std::string& token = "", const std::string& more = "") {
  return {"security.case_opened", token, id, 1, opened_payload(id, type, severity, evidence, time_text(at), more), "", time_text(at)};
}

CaseMessage evidence(std::int64_t id, std::int64_t version, const std::string& fields, Instant at, const std::string& token = "") {
  return {"security.case_evidence_added", token, id, version,
          "{\"case_id\":" + std::to_string(id) + ",\"material\":true,\"evidence\":" + fields + "}", "", time_text(at)};
}

// Every decision, byte for byte. All but the place: which of two deliveries of one version comes first is the broker's affair.
std::string decisions(TestDatabase& db) {
  return db.value("SELECT string_agg((to_jsonb(d) - 'stream' - 'seq')::text, E'\\n' ORDER BY case_id, evaluation) FROM serving.dispute_decisions d");
}

// Decisions whose place holds no event of their case.
std::vector<std::string> misplaced(TestDatabase& db, TestBroker& broker) {
  std::map<std::int64_t, std::int64_t> case_at;  // by sequence
  for (const StoredMessage& message : broker.all("CORE"))
    case_at[static_cast<std::int64_t>(message.sequence)] = nlohmann::json::parse(message.data)["payload"].value("case_id", std::int64_t{0});
  std::vector<std::string> wrong;
  for (const auto& row : db.query("SELECT case_id, evaluation, stream, seq FROM serving.dispute_decisions").rows)
    if (*row[2] != "CORE" || case_at[std::stoll(*row[3])] != std::stoll(*row[0])) wrong.push_back(*row[0] + "/" + *row[1] + " at " + *row[2] + " " + *row[3]);
  return wrong;
}

// The time of every hold and cooling has come.
void end_holds(DisputeRig& rig) {
  for (int round = 0; round < 4; ++round) {
    rig.db.query("UPDATE cutover.outbox SET available_at = now() WHERE published_at IS NULL AND timer_key ~ ':(hold|cooling)$'");
    REQUIRE(rig.settled());
  }
}

// Lets timers come nearer by this much, as if the clock advanced.
void pass(TestDatabase& db, const std::string& interval) {
  db.query("UPDATE cutover.outbox SET available_at = available_at - $1::interval WHERE published_at IS NULL AND available_at IS NOT NULL", {interval});
}

}  // namespace

TEST_CASE("duplicates, reordering and replay change no decision, and nothing happens twice", "[dispute]") {
  const Instant start = SystemClock().now() - 10h;
  NatsServer nats;
  TestDatabase db;
  DisputeRig rig(nats.url(), db);
  std::mt19937 random(5);
  std::vector<CaseMessage> messages;
  const std::string tokens[] = {"", "normal", "urgent"};
  std::int64_t id = 0;
  const auto add = [&](const std::string& type, const std::string& severity, const std::string& fields, const std::vector<std::string>& later) {
    ++id;
    const Instant at = start + std::chrono::minutes(id);
    messages.push_back(opened(id, type, severity, fields, at, tokens[random() % 3], id % 4 == 0 ? R"("principal_id":42,)" : ""));
    for (std::size_t i = 0; i < later.size(); ++i)
      messages.push_back(evidence(id, static_cast<std::int64_t>(i) + 2, later[i], at + std::chrono::hours(i + 1), tokens[random() % 3]));
  };
  for (int round = 0; round < 4; ++round) {
    add("C1", "L2", otp(false, true), {});
    add("C1", "L1", otp(true, true), {R"({"challenger_otp":false})", R"({"incumbent_device_days":90})"});
    add("C1", "L3", otp(false, false), {R"({"challenger_otp":true})", R"({"incumbent_otp":true})"});
    add("C2", "L1", R"({"otp":true,"old_owner_inactive_days":3,"claimed_at":")" + time_text(start) + R"(","old_owner_disputed":false})", {});
    add("C2", "L2", R"({"otp":false,"old_owner_inactive_days":3,"claimed_at":")" + time_text(start) + R"(","old_owner_disputed":false})", {});
    add("C3", "L1", R"({"auto_applied":false,"requester_confirmed_merge":false})", {R"({"auto_applied":true})"});
    add("C4", "L1", R"({"exact_match":true,"reporter_is_target":true,"target_is_user":true,"reporter_insists":false,"similarity":1})", {R"({"exact_match":false})"});
    add("C5", "L2", R"({"challenger_level":2,"incumbent_level":1,"employees":7})", {R"({"challenger_level":0})"});
    add("C6", "L3", R"({"signal_ratio":3.5,"unique_reports_24h":1,"trust_delta":31})", {R"({"signal_ratio":1})", R"({"unique_reports_24h":6})"});
  }
  const std::size_t distinct = messages.size();
  for (std::size_t i = 0; i < distinct; i += 2) messages.push_back(messages[i]);  // the producer says it twice
  std::shuffle(messages.begin(), messages.end(), random);
  rig.publish(messages);
  rig.start();
  REQUIRE(rig.settled());
  end_holds(rig);
  rig.stop();
  const std::string first = decisions(db);
  REQUIRE_FALSE(first.empty());
  CHECK(misplaced(db, rig.broker) == std::vector<std::string>());

  SECTION("one decision for each evaluation, one effect for each cause") {
    CHECK(db.count("SELECT count(*) FROM serving.dispute_queue") == id);
    CHECK(db.count("SELECT count(*) FROM serving.dispute_queue WHERE version <> decided_version") == 0);
    CHECK(db.count("SELECT count(*) FROM serving.dispute_queue q WHERE evaluations <> "
                   "(SELECT count(*) FROM serving.dispute_decisions d WHERE d.case_id = q.case_id)") == 0);
    CHECK(db.count("SELECT count(*) FROM (SELECT case_id, version, cause FROM serving.dispute_decisions GROUP BY 1, 2, 3 HAVING count(*) > 1) d") == 0);
    std::map<std::string, int> effects;
    std::int64_t notifications = 0, freezes = 0;
    for (const StoredMessage& message : rig.broker.all("CORE")) {
      if (message.subject.starts_with("security.case_") && message.subject.find("resolved") == std::string::npos) continue;
      ++effects[message.subject + " " + nlohmann::json::parse(message.data)["idempotency_key"].get<std::string>()];
      notifications += message.subject == "dispute.notification_requested";
      freezes += message.subject == "dispute.restriction_applied" && message.data.find("organisation_frozen") != std::string::npos;
    }
    for (const auto& [effect, times] : effects) {
      CAPTURE(effect);
      CHECK(times == 1);
    }
    CHECK(notifications == db.count("SELECT sum(notifications) FROM serving.dispute_queue"));
    CHECK(freezes == 4);
    CHECK(db.count("SELECT count(*) FROM cutover.dead_letters") == 0);
  }
  SECTION("the whole history, replayed into an empty schema, gives the same bytes") {
    NatsServer second_nats;
    TestDatabase second;
    DisputeRig replay(second_nats.url(), second);
    std::vector<Sending> history;
    for (const StoredMessage& message : rig.broker.all("CORE")) {
      Sending sending{message.subject, message.data, "", {}};
      for (const auto& [name, value] : message.headers)
        if (name == "Cutover-Key") sending.headers.emplace_back(name, value);
      history.push_back(sending);
    }
    replay.broker.publish(history);
    replay.start();
    REQUIRE(replay.settled(120s));
    CHECK(decisions(second) == first);
    CHECK(misplaced(second, replay.broker) == std::vector<std::string>());
    CHECK(second.count("SELECT count(*) FROM cutover.dead_letters") == 0);
    CHECK(second.value("SELECT string_agg(case_id || state || coalesce(rule, '-'), ' ' ORDER BY case_id) FROM serving.dispute_queue") ==
          db.value("SELECT string_agg(case_id || state || coalesce(rule, '-'), ' ' ORDER BY case_id) FROM serving.dispute_queue"));
  }
}

TEST_CASE("of two claims for one channel, racing on two instances, one asks and one waits, both audited", "[dispute]") {
  constexpr int kChannels = 40;
  NatsServer nats;
  TestDatabase db;
  db.query("INSERT INTO app.channels (channel_id, principal_id, kind, value, state) SELECT i, i, 'phone', '+49' || i, 'verified_active' FROM generate_series(1, 40) i");
  DisputeRig rig(nats.url(), db);
  rig.start();
  rig.start();
  std::vector<CaseMessage> messages;
  for (int channel = 1; channel <= kChannels; ++channel)
    for (int which = 0; which < 2; ++which)
      messages.push_back(opened(channel * 2 + which, "C1", "L2", otp(false, false), SystemClock().now(), "urgent",
                                "\"channel_id\":" + std::to_string(channel) + ","));
  std::shuffle(messages.begin(), messages.end(), std::mt19937(3));
  rig.publish(messages);
  REQUIRE(rig.settled());
  CHECK(db.count("SELECT count(*) FROM serving.dispute_decisions") == 2 * kChannels);
  CHECK(db.count("SELECT count(DISTINCT channel_id) FROM serving.dispute_transitions WHERE state = 'open'") == kChannels);
  CHECK(db.count("SELECT count(*) FROM serving.dispute_transitions WHERE state = 'open'") == kChannels);
  CHECK(db.count("SELECT count(*) FROM serving.dispute_transitions w JOIN serving.dispute_transitions o ON o.case_id = w.blocked_by "
                 "AND o.channel_id = w.channel_id AND o.state = 'open' WHERE w.state = 'waiting'") == kChannels);
  CHECK(db.count("SELECT count(*) FROM serving.dispute_audit WHERE what = 'transition_opened'") == kChannels);
  CHECK(db.count("SELECT count(*) FROM serving.dispute_audit WHERE what = 'transition_conflict'") == kChannels);
  CHECK(rig.stored("channel.transition_requested") == kChannels);
}

TEST_CASE("evidence that comes out of order across a hand-over is applied in version order", "[dispute]") {
  NatsServer nats;
  TestDatabase db;
  DisputeRig rig(nats.url(), db);
  const Instant start = SystemClock().now() - 5h;
  rig.publish({opened(7, "C1", "L2", otp(false, false), start), evidence(7, 3, R"({"incumbent_otp":true})", start + 2h),
               evidence(7, 2, R"({"challenger_otp":true})", start + 1h)});
  const StreamLife life = rig.broker.publisher.stream_life("CORE", std::chrono::steady_clock::now() + 20s).value();
  db.query("SELECT cutover.stream_incarnation('CORE', 'epoch'::timestamptz + $1::bigint * interval '1 microsecond')",
           {std::to_string(life.created_at.time_since_epoch().count())});
  for (const auto& [epoch, from, mode] : std::vector<std::tuple<int, int, std::string>>{{1, 1, "monolith"}, {2, 2, "worker"}})
    db.query("INSERT INTO cutover.ownership (worker_id, epoch, stream_id, from_sequence, mode, percent, actor, reason) "
             "SELECT worker_id, $1::bigint, stream_id, $2::bigint, $3, 0, 'test', 'test' FROM cutover.workers, cutover.streams "
             "WHERE worker = 'dispute-processor' AND stream = 'CORE'",
             {std::to_string(epoch), std::to_string(from), mode});
  rig.start();
  REQUIRE(eventually([&] { return db.count("SELECT count(*) FROM cutover.waiting") == 2; }));
  CHECK(db.count("SELECT count(*) FROM serving.dispute_queue") == 0);

  // The monolith comes to what is its own: it takes the case in, and the worker goes on with it.
  LedgerSession monolith(db, "dispute-processor", "monolith");
  LedgerEvent first = ledger_event(1);
  first.event_id = uuid_of("case:7:1");
  first.key = "7";
  first.mark = "global\x1f" "case:7:1";
  first.version = 1;
  monolith.begin();
  REQUIRE(monolith.claim("CORE", 1, {first}).serving == "a");
  const std::string at = time_text(start);
  monolith.connection.run("INSERT INTO serving.dispute_queue (case_id, case_type, severity, principal_id, opened_at, verified_business, state, "
                          "version, routed_lane, base_lane, lane, first_response_due, stream, seq) VALUES (7, 'C1', 'L2', 1000007, '" + at +
                          "', false, 'routed', 1, 0, 0, 0, '" + at + "'::timestamptz + interval '15 min', 'CORE', 1)");
  monolith.connection.run("INSERT INTO serving.dispute_evidence VALUES (7, 1, 'opened', true, '" + at + "', '" + otp(false, false) + "', 'CORE', 1)");
  EventDraft routed;
  routed.event_name = "dispute.queue_routed";
  routed.subject_id = "7";
  routed.subject_version = 0;
  routed.idempotency_key = "routed:7:1:p0";
  routed.payload = R"({"case_id":7,"version":1,"lane":0})";
  monolith.connection.run("INSERT INTO cutover.outbox (message_id, event_id, subject, key, payload, priority) VALUES ('" + routed.id() + "', '" +
                          routed.id() + "', 'dispute.queue_routed.p0', '7', convert_to('" + routed.text() + "', 'UTF8'), 0)");
  monolith.settle("a");
  monolith.commit();
  REQUIRE(eventually([&] { return db.value("SELECT version::text || decided_version FROM serving.dispute_queue") == "33"; }));
  CHECK(db.value("SELECT string_agg(rule || ' v' || version || ' ' || actions::text, '; ' ORDER BY evaluation) FROM serving.dispute_decisions") ==
        "C1.no_otp v1 {}; C1.one_otp v2 {award_challenger}");
  CHECK(db.value("SELECT state || ' ' || hold_extended || ' ' || (decide_at = hold_until) FROM serving.dispute_queue") == "held true true");
  CHECK(db.count("SELECT count(*) FROM cutover.dead_letters") == 0);
}

TEST_CASE("a hold of 72 hours survives three restarts and a lost hour of PostgreSQL, and ends once", "[dispute]") {
  PrivateServers servers;
  TestDatabase db(servers.addresses().pg_url);
  DisputeRig rig(servers.addresses().nats_url, db);
  rig.start();
  rig.publish({opened(7, "C1", "L1", otp(true, true), SystemClock().now(), "normal", R"("channel_id":5,)")});
  REQUIRE(rig.settled());
  REQUIRE(db.value("SELECT rule || ' ' || (hold_until - opened_at) FROM serving.dispute_queue") == "C1.ambiguous 3 days");
  const std::string fired = "SELECT count(*) FROM cutover.outbox WHERE subject LIKE 'dispute.timer_fired.%' AND published_at IS NOT NULL "
                            "AND convert_from(payload, 'UTF8') LIKE '%\"timer\":\"hold\"%'";
  for (const char* interval : {"24 h", "24 h", "23 h 30 min"}) {
    pass(db, interval);
    rig.stop();
    rig.start();
    REQUIRE(rig.settled());
    CHECK(db.count(fired) == 0);
  }
  // Half an hour before its time PostgreSQL goes; when it is back, an hour has passed.
  servers.command("stop-postgres", {"--immediate"});
  servers.command("start-postgres");
  pass(db, "1 h");
  const Instant back = SystemClock().now();
  REQUIRE(eventually([&] { return db.count("SELECT count(*) FROM serving.dispute_restrictions WHERE lifted_at IS NOT NULL") == 1; }));
  const auto late = SystemClock().now() - back;
  CHECK(late < 5s);
  REQUIRE(rig.settled());
  CHECK(db.count(fired) == 1);
  CHECK(db.value("SELECT state || ' ' || evaluations || ' ' || (hold_until IS NULL) FROM serving.dispute_queue") == "queued 1 true");
  CHECK(rig.stored("dispute.restriction_lifted") == 1);
  rig.stop();
  rig.start();
  REQUIRE(rig.settled());
  CHECK(db.count(fired) == 1);
}
