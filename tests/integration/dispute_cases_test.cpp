// What cases do to the tables and to the outside, on a real database with a clock that the test advances.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "dispute_world.h"
#include "workers/dispute/shadow_seed.h"

using namespace cutover;
using namespace cutover::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

const std::string kOneOtp = R"({"incumbent_otp":false,"challenger_otp":true,"incumbent_device_days":1,"challenger_device_days":1})";
const std::string kIncumbentOtp = R"({"incumbent_otp":true,"challenger_otp":false,"incumbent_device_days":1,"challenger_device_days":1})";
const std::string kNoOtp = R"({"incumbent_otp":false,"challenger_otp":false,"incumbent_device_days":1,"challenger_device_days":1})";
const std::string kAmbiguous = R"({"incumbent_otp":true,"challenger_otp":true,"incumbent_device_days":1,"challenger_device_days":1})";
const std::string kThirdParty = R"({"auto_applied":false,"requester_confirmed_merge":false})";
const std::string kTrust = R"({"signal_ratio":3,"unique_reports_24h":0,"trust_delta":1})";

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("a case is routed, decided and told about", "[dispute]") {
  DisputeWorld world;
  world.tell({world.opened(7, "C3", "L1", R"({"auto_applied":false,"requester_confirmed_merge":true})", R"("counterparty_id":8,)")});
  CHECK(world.row(7, "state") == "resolved");
  CHECK(world.row(7, "resolved_by") == "C3.confirmer");
  CHECK(world.decisions(7) == "C3.confirmer resolve P3 0 {split}");
  CHECK(world.audit(7) == "routed decided resolved");
  CHECK(world.db.value("SELECT string_agg(coalesce(rule, '-'), ' ' ORDER BY audit_id) FROM serving.dispute_audit") ==
        "route.merge C3.confirmer C3.confirmer");
  CHECK(world.sent(7) == Texts{"dispute.queue_routed.p3", "dispute.auto_adjudicated", "security.case_resolved",
                               "dispute.notification_requested"});
  CHECK(world.db.value("SELECT convert_from(payload, 'UTF8')::json -> 'payload' ->> 'principal_ids' FROM cutover.outbox "
                       "WHERE subject = 'score.recompute_requested'") == "[1007,8]");
  CHECK(world.db.count("SELECT count(*) FROM cutover.outbox WHERE published_at IS NULL AND available_at IS NOT NULL") == 0);
}

TEST_CASE("malformed case events are dead letters that say why, and leave nothing", "[dispute]") {
  DisputeWorld world;
  auto without = world.opened(1, "C1", "L1", R"({"incumbent_otp":true,"challenger_otp":true,"incumbent_device_days":1})");
  auto wrong = world.opened(2, "C4", "L1", R"({"exact_match":true,"reporter_is_target":1})");
  auto unversioned = world.opened(3, "C3", "L1", kThirdParty);
  unversioned.version = 0;
  auto other = world.opened(4, "C3", "L1", kThirdParty);
  other.case_id = 5;
  const auto reasons = world.tell({without, wrong, unversioned, other, world.opened(6, "C7", "L1", "{}"),
                                   world.evidence(9, 2, R"({"otp":true})"), world.opened(10, "C3", "L1", kThirdParty)});
  CHECK(reasons == Texts{"security.case_opened: evidence.challenger_device_days is missing",
                         "security.case_opened: evidence.reporter_is_target is neither true nor false",
                         "security.case_opened: subject.version is not a version from 1 on",
                         "security.case_opened: subject.subject_id is not the payload's case_id",
                         "security.case_opened: case_type is none of the known ones",
                         "security.case_evidence_added: there is no case 9", ""});
  CHECK(world.db.count("SELECT count(*) FROM serving.dispute_queue") == 1);
}

TEST_CASE("an award waits for its hold, then asks for the channel step by step", "[dispute]") {
  DisputeWorld world;
  world.channel(5, "verified_active", 3);
  world.tell({world.opened(7, "C1", "L2", kOneOtp, R"("counterparty_id":8,"channel_id":5,)")});
  CHECK(world.row(7, "state || ' ' || lane") == "held 0");
  CHECK(world.sent(7) == Texts{"dispute.queue_routed.p0", "dispute.auto_adjudicated", "dispute.notification_requested",
                               "dispute.hold_started", "dispute.restriction_applied"});
  CHECK(world.db.value("SELECT string_agg(kind || ' ' || (lifted_at IS NULL), ',') FROM serving.dispute_restrictions") == "channel_limited true");
  world.pass(24h - 1us);
  CHECK(world.row(7, "state") == "held");
  world.pass(1us);
  CHECK(world.row(7, "state") == "resolved");
  CHECK(world.row(7, "resolved_at - opened_at") == "1 day");
  CHECK(world.db.value("SELECT path::text || ' ' || expected_version || ' ' || state FROM serving.dispute_transitions") ==
        "{verified_active,challenged,limited,disputed,transferred} 3 closed");
  CHECK(world.db.value("SELECT string_agg((p ->> 'from') || '>' || (p ->> 'to') || '@' || (p ->> 'expected_version'), ' ' ORDER BY outbox_id) FROM "
                       "(SELECT outbox_id, convert_from(payload, 'UTF8')::json -> 'payload' AS p FROM cutover.outbox WHERE subject = 'channel.transition_requested') o") ==
        "verified_active>challenged@3 challenged>limited@4 limited>disputed@5 disputed>transferred@6");
  CHECK(world.db.value("SELECT string_agg(kind || ' ' || (lifted_at IS NULL), ',') FROM serving.dispute_restrictions") == "channel_limited false");
  world.pass(500h);
  CHECK(world.sent_count("security.case_resolved") == 1);
}

TEST_CASE("an award to the incumbent recovers the channel, and a rejection ends the challenge", "[dispute]") {
  DisputeWorld world;
  world.channel(5, "verified_active");
  world.channel(6, "verified_active");
  world.tell({world.opened(7, "C1", "L2", kIncumbentOtp, R"("channel_id":5,)"),
              world.opened(8, "C2", "L1", R"({"otp":false,"old_owner_inactive_days":0,"claimed_at":"2026-01-01T00:00:00Z","old_owner_disputed":false})",
                           R"("channel_id":6,)")});
  world.pass(24h);
  CHECK(world.db.value("SELECT path::text FROM serving.dispute_transitions WHERE case_id = 7") ==
        "{verified_active,challenged,limited,disputed,recovered,verified_active}");
  CHECK(world.db.value("SELECT path::text FROM serving.dispute_transitions WHERE case_id = 8") == "{verified_active,challenged,verified_active}");
}

TEST_CASE("a transition that is not allowed is refused, audited and told", "[dispute]") {
  DisputeWorld world;
  world.channel(5, "unclaimed");
  world.tell({world.opened(7, "C1", "L2", kNoOtp, R"("channel_id":5,)")});
  CHECK(world.audit(7) == "routed transition_refused decided");
  CHECK(world.db.value("SELECT refused FROM serving.dispute_transitions") == "unclaimed>challenged");
  CHECK(world.db.value("SELECT convert_from(payload, 'UTF8')::json -> 'payload' ->> 'code' FROM cutover.outbox WHERE subject = 'channel.transition_rejected'") ==
        "OWNERSHIP_INVALID_TRANSITION");
  CHECK(world.sent_count("channel.transition_requested") == 0);
}

TEST_CASE("a second case waits for the channel and goes on when it is free", "[dispute]") {
  DisputeWorld world;
  world.channel(5, "verified_active");
  world.tell({world.opened(7, "C1", "L2", kOneOtp, R"("channel_id":5,)")});
  world.pass(1h);
  world.tell({world.opened(9, "C1", "L2", kIncumbentOtp, R"("channel_id":5,)")});
  CHECK(world.row(9, "state || ' ' || blocked_by") == "held 7");
  CHECK(world.audit(9) == "routed transition_conflict decided");
  world.pass(24h);  // 7 ends at 24 h, 9 at 25 h
  CHECK(world.row(7, "state") == "resolved");
  CHECK(world.row(9, "state") == "resolved");
  CHECK(world.db.value("SELECT path::text FROM serving.dispute_transitions WHERE case_id = 9") ==
        "{transferred,challenged,limited,disputed,recovered,verified_active}");
  CHECK(world.db.value("SELECT path::text FROM serving.dispute_transitions WHERE case_id = 7") ==
        "{verified_active,challenged,limited,disputed,transferred}");
}

TEST_CASE("an outcome that needs the channel waits beyond its hold until the channel is free", "[dispute]") {
  DisputeWorld world;
  world.channel(5, "verified_active");
  world.tell({world.opened(7, "C1", "L2", kAmbiguous, R"("channel_id":5,)")});
  world.tell({world.opened(9, "C1", "L2", kOneOtp, R"("channel_id":5,)")});
  world.pass(30h);
  CHECK(world.row(9, "state || ' ' || (hold_until IS NULL)") == "held true");
  CHECK(world.audit(9) == "routed transition_conflict decided blocked");
  world.tell({world.evidence(7, 2, R"({"challenger_otp":false})")});
  world.pass(96h);  // decided again after the extended hold of 96 h, held for 24 h more
  CHECK(world.row(7, "state || ' ' || rule") == "resolved C1.one_otp");
  CHECK(world.row(9, "state") == "resolved");
  CHECK(world.row(9, "resolved_at = (SELECT resolved_at FROM serving.dispute_queue WHERE case_id = 7)") == "true");
  CHECK(world.db.value("SELECT path::text FROM serving.dispute_transitions WHERE case_id = 9") == "{verified_active,challenged,limited,disputed,transferred}");
}

TEST_CASE("each reason escalates a case by one lane, once", "[dispute]") {
  DisputeWorld world;
  const std::string one = R"("principal_id":42,)", business = R"("principal_id":42,"verified_business":true,)";
  for (int n = 1; n <= 4; ++n) {
    world.tell({world.opened(n, "C3", "L1", kThirdParty, one)});
    world.pass(1h);
  }
  world.tell({world.opened(5, "C3", "L1", kThirdParty, business)});
  CHECK(world.row(1, "lane || ' ' || reasons::text") == "3 {}");
  for (int n = 2; n <= 4; ++n) CHECK(world.row(n, "lane || ' ' || reasons::text") == "2 {earlier_case}");
  CHECK(world.row(5, "lane || ' ' || reasons::text") == "1 {earlier_case,verified_business}");
  world.tell({world.evidence(5, 2, R"({"requester_confirmed_merge":false})"), world.evidence(4, 2, R"({"requester_confirmed_merge":false})")});
  CHECK(world.row(4, "lane || ' ' || reasons::text") == "1 {earlier_case,evidence}");
  CHECK(world.row(5, "lane || ' ' || reasons::text") == "0 {earlier_case,evidence,verified_business}");
  world.tell({world.evidence(5, 3, R"({"requester_confirmed_merge":false})")});
  CHECK(world.row(5, "lane || ' ' || base_lane") == "0 3");
  world.pass(100h);  // nobody responded: the fourth reason, and no lane above P0
  CHECK(world.row(5, "lane || ' ' || reasons::text") == "0 {earlier_case,evidence,first_response,verified_business}");
  CHECK(world.row(1, "lane || ' ' || reasons::text") == "2 {first_response}");
  CHECK(world.sent_count("dispute.sla_breach") == 5);
  CHECK(world.decisions(5) == "C3.third_party queue P3 0 {}; C3.third_party queue P3 0 {}; C3.third_party queue P3 0 {}");
}

TEST_CASE("of two cases within a day the later one escalates, whichever is heard of first", "[dispute]") {
  DisputeWorld world;
  auto later = world.opened(7, "C3", "L1", kThirdParty, R"("principal_id":42,"opened_at":"2026-01-02T03:00:00Z",)");
  auto earlier = world.opened(9, "C3", "L1", kThirdParty, R"("principal_id":42,"opened_at":"2026-01-02T02:00:00Z",)");
  SECTION("in two batches") {
    world.deliver({later});
    world.deliver({earlier});
    world.pump();
    CHECK(world.sent(7, "dispute.queue_routed") == Texts{"dispute.queue_routed.p3", "dispute.queue_routed.p2"});
  }
  SECTION("in one batch") {
    world.tell({later, earlier});
    CHECK(world.sent(7, "dispute.queue_routed") == Texts{"dispute.queue_routed.p2"});
  }
  CHECK(world.row(7, "lane || ' ' || reasons::text") == "2 {earlier_case}");
  CHECK(world.row(9, "lane || ' ' || reasons::text") == "3 {}");
  CHECK(world.db.count("SELECT count(*) FROM serving.dispute_decisions") == 2);
}

TEST_CASE("when the lane of a waiting case changes, the message in the old lane does nothing", "[dispute]") {
  DisputeWorld world;
  world.deliver({world.opened(7, "C3", "L1", kThirdParty)});
  world.db.query("UPDATE serving.dispute_queue SET lane = 2");
  world.pump();
  CHECK(world.row(7, "state") == "routed");
}

TEST_CASE("a missed first response escalates once; an automatic outcome is one", "[dispute]") {
  DisputeWorld world;
  world.tell({world.opened(7, "C1", "L2", kNoOtp), world.opened(8, "C1", "L2", kOneOtp)});
  world.pass(15min - 1us);
  CHECK(world.sent_count("dispute.sla_breach") == 0);
  world.pass(1us);
  CHECK(world.sent_count("dispute.sla_breach") == 1);
  CHECK(world.row(7, "reasons::text") == "{first_response}");
  CHECK(world.row(8, "reasons::text") == "{}");
  world.pass(1000h);
  CHECK(world.sent_count("dispute.sla_breach") == 1);
}

TEST_CASE("restrictions follow the severity, are applied once and lifted at the resolution", "[dispute]") {
  DisputeWorld world;
  world.tell({world.opened(1, "C6", "L1", kTrust), world.opened(2, "C6", "L2", kTrust), world.opened(3, "C6", "L3", kTrust)});
  const auto kinds = [&](int id) {
    return world.db.value("SELECT string_agg(kind, ' ' ORDER BY kind) FROM serving.dispute_restrictions WHERE lifted_at IS NULL AND case_id = " + std::to_string(id));
  };
  CHECK(kinds(1) == "reverification");
  CHECK(kinds(2) == "channel_edits_frozen reverification search_visibility_lowered username_transfers_frozen");
  CHECK(kinds(3) == "channel_edits_frozen no_new_shadow_profiles not_publicly_reachable reverification search_visibility_lowered username_transfers_frozen");
  world.tell({world.evidence(3, 2, R"({"signal_ratio":4})")});
  CHECK(world.sent_count("dispute.restriction_applied") == 1 + 4 + 6);
  world.tell({world.evidence(3, 3, R"({"signal_ratio":2})")});
  CHECK(world.row(3, "state") == "resolved");
  CHECK(kinds(3) == "");
  CHECK(world.sent_count("dispute.restriction_lifted") == 6);
  CHECK(world.sent_count("dispute.warning_issued") == 1);
}

TEST_CASE("impersonators and organisations are restricted, not those who complain", "[dispute]") {
  DisputeWorld world;
  world.tell({world.opened(1, "C4", "L1", R"({"exact_match":true,"reporter_is_target":true,"target_is_user":true,"reporter_insists":false,"similarity":1})",
                           R"("counterparty_id":66,)"),
              world.opened(2, "C5", "L1", R"({"challenger_level":2,"incumbent_level":1,"employees":3})", R"("counterparty_id":67,)")});
  CHECK(world.db.value("SELECT string_agg(principal_id || ' ' || kind, ', ' ORDER BY case_id) FROM serving.dispute_restrictions") ==
        "66 discoverability_reduced, 67 organisation_frozen");
  CHECK(world.decisions(2) == "C5.small queue P1 72 {freeze_organisation,recommend_challenger}");
}

TEST_CASE("a case asks for three notifications at most, and the last one is kept for its resolution", "[dispute]") {
  DisputeWorld world;
  world.tell({world.opened(7, "C6", "L1", kTrust)});
  world.tell({world.evidence(7, 2, R"({"signal_ratio":1,"unique_reports_24h":5})")});
  world.tell({world.evidence(7, 3, R"({"unique_reports_24h":3})")});
  world.tell({world.evidence(7, 4, R"({"unique_reports_24h":6})")});
  CHECK(world.sent_count("dispute.notification_requested") == 2);
  world.tell({world.evidence(7, 5, R"({"unique_reports_24h":0})")});
  CHECK(world.row(7, "state || ' ' || notifications") == "resolved 3");
  CHECK(world.sent_count("dispute.notification_requested") == 3);
  const std::string told = world.db.value("SELECT string_agg(convert_from(payload, 'UTF8')::json ->> 'payload', '') FROM cutover.outbox "
                                          "WHERE subject = 'dispute.notification_requested'");
  CHECK_THAT(told, ContainsSubstring(R"("outcome":"dismiss")"));
  for (const char* secret : {"confidence", "signal_ratio", "unique_reports", "evidence", "rule"}) CHECK_THAT(told, !ContainsSubstring(secret));
}

TEST_CASE("an appeal of a resolved case opens one new case in P2 for an operator", "[dispute]") {
  DisputeWorld world;
  world.tell({world.opened(7, "C3", "L1", R"({"auto_applied":false,"requester_confirmed_merge":true})"), world.opened(8, "C3", "L1", kThirdParty)});
  world.pass(2h);
  world.tell({world.reopened(7, 2), world.reopened(8, 2)});
  CHECK(world.row(-7, "appeal_of || ' ' || state || ' ' || lane || ' ' || evaluations") == "7 queued 2 0");
  CHECK(world.row(-7, "first_response_due - opened_at") == "1 day");
  CHECK(world.row(-8, "state") == "");
  CHECK(world.audit(8) == "routed decided ignored");
  world.tell({world.reopened(7, 3)});
  CHECK(world.sent_count("dispute.appeal_filed") == 1);
  CHECK(world.audit(7) == "routed decided resolved appealed ignored");
  world.pass(24h);
  CHECK(world.row(-7, "reasons::text || lane") == "{first_response}1");
}

TEST_CASE("cooling is decided again when it ends, and its timer is cancelled when evidence comes first", "[dispute]") {
  DisputeWorld world;
  const std::string claim = R"({"otp":true,"old_owner_inactive_days":10,"claimed_at":"2026-01-01T00:00:00Z","old_owner_disputed":false})";
  world.tell({world.opened(7, "C2", "L1", claim), world.opened(8, "C2", "L1", claim)});
  CHECK(world.row(7, "state || ' ' || decide_at") == "waiting 2026-01-08 00:00:00+00");
  world.tell({world.evidence(8, 2, R"({"old_owner_disputed":true})")});
  CHECK(world.db.count("SELECT count(*) FROM cutover.outbox WHERE timer_key = 'dispute:8:cooling' AND published_at IS NULL") == 0);
  world.pass(24h * 7);
  CHECK(world.decisions(7) == "C2.cooling wait P2 0 {}; C2.cooled resolve P2 48 {transfer}");
  CHECK(world.db.value("SELECT string_agg(as_of::text, ' ' ORDER BY evaluation) FROM serving.dispute_decisions WHERE case_id = 7") ==
        "2026-01-02 03:04:05.678901+00 2026-01-08 00:00:00+00");
  CHECK(world.decisions(8) == "C2.cooling wait P2 0 {}; C2.disputed queue P2 0 {}");
  world.pass(48h);
  CHECK(world.row(7, "resolved_at") == "2026-01-10 00:00:00+00");
}

TEST_CASE("material evidence extends a hold once and the case is decided again at its end", "[dispute]") {
  DisputeWorld world;
  world.tell({world.opened(7, "C1", "L2", kAmbiguous)});
  world.pass(10h);
  world.tell({world.evidence(7, 2, R"({"challenger_otp":false})")});
  CHECK(world.row(7, "hold_until - opened_at") == "4 days");
  world.tell({world.evidence(7, 3, R"({"incumbent_device_days":50})")});
  CHECK(world.sent_count("dispute.hold_extended") == 1);
  world.pass(86h - 1us);
  CHECK(world.row(7, "evaluations") == "1");
  world.pass(1us);
  CHECK(world.decisions(7) == "C1.ambiguous queue P1 72 {}; C1.one_otp resolve P0 24 {award_incumbent}");
  world.pass(24h);
  CHECK(world.row(7, "state || ' ' || (resolved_at - opened_at)") == "resolved 5 days");
}

TEST_CASE("the audit can only grow", "[dispute]") {
  DisputeWorld world;
  world.tell({world.opened(7, "C3", "L1", kThirdParty)});
  for (const char* statement : {"DELETE FROM serving.dispute_audit", "UPDATE serving.dispute_audit SET what = 'x'", "TRUNCATE serving.dispute_audit"}) {
    CAPTURE(statement);
    CHECK_THROWS(world.db.query(statement));
  }
  CHECK(world.audit(7) == "routed decided");
}

TEST_CASE("in shadow everything goes to schema shadow and to shadow's subjects and timers", "[dispute]") {
  DisputeWorld world;
  world.shadow = true;
  world.channel(5, "verified_active");
  world.tell({world.opened(7, "C1", "L2", kOneOtp, R"("channel_id":5,)")});
  world.pass(24h);
  CHECK(world.row(7, "state") == "resolved");
  CHECK(world.decisions(7) == "C1.one_otp resolve P0 24 {award_challenger}");
  for (const char* table : {"queue", "evidence", "decisions", "restrictions", "transitions", "audit"}) {
    CAPTURE(table);
    CHECK(world.db.count(std::string("SELECT count(*) FROM serving.dispute_") + table) == 0);
    CHECK(world.db.count(std::string("SELECT count(*) FROM shadow.dispute_") + table) > 0);
  }
  CHECK(world.db.count("SELECT count(*) FROM cutover.outbox WHERE NOT starts_with(subject, 'shadow.')") == 0);
}

TEST_CASE("shadow begins with the cases of serving and with timers of its own", "[dispute]") {
  DisputeWorld world;
  world.tell({world.opened(7, "C1", "L2", kOneOtp), world.opened(8, "C3", "L1", kThirdParty), world.opened(9, "C2", "L1",
              R"({"otp":true,"old_owner_inactive_days":10,"claimed_at":"2026-01-01T00:00:00Z","old_owner_disputed":false})")});
  world.transact([](Transaction& tx) { dispute::clear_shadow(tx); });
  std::string after;
  std::int64_t copied = 0;
  for (bool more = true; more;)
    world.transact([&](Transaction& tx) {
      const auto chunk = dispute::copy_to_shadow(tx, after, 2);
      copied += chunk.rows;
      more = chunk.next.has_value();
      if (more) after = *chunk.next;
    });
  CHECK(copied == 3);
  CHECK(world.db.value("SELECT string_agg(timer_key || ' ' || (headers ->> 'Cutover-For'), ', ' ORDER BY timer_key) FROM cutover.outbox WHERE starts_with(subject, 'shadow.')") ==
        "shadow:dispute:7:hold dispute-processor, shadow:dispute:8:first_response dispute-processor, "
        "shadow:dispute:9:cooling dispute-processor, shadow:dispute:9:first_response dispute-processor");
  world.shadow = true;
  CHECK(world.row(7, "state || ' ' || (stream IS NULL)") == "held true");
  CHECK(world.decisions(7) == "C1.one_otp resolve P0 24 {award_challenger}");
  world.pass(24h);
  CHECK(world.row(7, "state") == "resolved");
  world.transact([](Transaction& tx) { dispute::clear_shadow(tx); });
  CHECK(world.row(7, "state") == "");
  CHECK(world.db.count("SELECT count(*) FROM cutover.outbox WHERE starts_with(timer_key, 'shadow:') AND published_at IS NULL") == 0);
}

TEST_CASE("the worker's role may do all of this, and the monolith's too", "[dispute]") {
  DisputeWorld world;
  for (const char* role : {"cutover_dispute_processor", "cutover_monolith"}) {
    for (const char* table : {"queue", "evidence", "decisions", "restrictions", "transitions", "audit"}) {
      CAPTURE(role, table);
      CHECK(world.db.value(std::string("SELECT has_table_privilege('") + role + "', 'serving.dispute_" + table + "', 'insert')") == "t");
    }
    CHECK(world.db.value(std::string("SELECT has_function_privilege('") + role + "', 'serving.lock_disputes(regclass, bigint[], bigint[])', 'execute')") == "t");
    CHECK(world.db.value(std::string("SELECT has_table_privilege('") + role + "', 'serving.dispute_audit', 'update, delete')") == "f");
  }
}
