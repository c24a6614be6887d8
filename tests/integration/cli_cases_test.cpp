// What an operator does with cases on the command line.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <nlohmann/json.hpp>

#include "dispute_world.h"
#include "integration/cli.h"

using namespace cutover::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

namespace {

const std::string kNoOtp = R"({"incumbent_otp":false,"challenger_otp":false,"incumbent_device_days":1,"challenger_device_days":1})";
const std::string kThirdParty = R"({"auto_applied":false,"requester_confirmed_merge":false})";

struct Desk : DisputeWorld {
  Ended run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "cases");
    return run_cutover(arguments, {{"CUTOVER_POSTGRES_URL", db.url()}});
  }
  json answer(const std::vector<std::string>& arguments) {
    std::vector<std::string> all = arguments;
    all.push_back("--json");
    const Ended ended = run(all);
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    return json::parse(ended.out);
  }
};

}  // namespace

TEST_CASE("cases ls and show tell what there is, the most urgent case first", "[cli]") {
  Desk desk;
  desk.tell({desk.opened(3, "C3", "L1", kThirdParty), desk.opened(4, "C1", "L2", kNoOtp)});
  const json all = desk.answer({"ls"});
  REQUIRE(all["cases"].size() == 2);
  CHECK(all["cases"][0]["case_id"] == 4);
  CHECK(all["cases"][0]["rule"] == "C1.no_otp");
  CHECK(desk.answer({"ls", "--lane", "3"})["cases"][0]["case_id"] == 3);
  CHECK(desk.answer({"ls", "--state", "resolved"})["cases"].empty());
  CHECK_THAT(desk.run({"ls"}).out, ContainsSubstring("C1 L2") && ContainsSubstring("P0") && ContainsSubstring("2026-01-02 03:04:05"));
  const json shown = desk.answer({"show", "4"});
  CHECK(shown["case"]["state"] == "queued");
  CHECK(shown["decisions"][0]["confidence"] == 0.5);
  CHECK(shown["evidence"].size() == 1);
  CHECK(shown["audit"].size() == 2);
  CHECK_THAT(desk.run({"show", "4"}).out, ContainsSubstring("route.severe_claim"));
  const Ended missing = desk.run({"show", "9"});
  CHECK(missing.code == 1);
  CHECK_THAT(missing.err, ContainsSubstring("case 9: there is no such case. Do: cutover cases ls."));
}

TEST_CASE("cases resolve ends a case once, with actor and reason in the audit", "[cli]") {
  Desk desk;
  desk.channel(5, "verified_active");
  desk.tell({desk.opened(4, "C1", "L2", kNoOtp, R"("channel_id":5,)")});
  const json done = desk.answer({"resolve", "4", "--outcome", "resolve", "--action", "award_incumbent", "--reason", "passport \"seen\""});
  CHECK(done["done"] == "case 4: resolved");
  CHECK(desk.row(4, "state || ' ' || outcome || ' ' || actions::text") == "resolved resolve {award_incumbent}");
  CHECK(desk.row(4, "resolved_by") == done["actor"]);
  CHECK(desk.db.value("SELECT actor_type || ' ' || reason || ' ' || (actor_id = $1) FROM serving.dispute_audit WHERE what = 'resolved'",
                      {done["actor"].get<std::string>()}) == "operator passport \"seen\" true");
  CHECK(desk.db.value("SELECT path::text FROM serving.dispute_transitions") == "{verified_active,challenged,limited,disputed,recovered,verified_active}");
  CHECK(desk.sent_count("security.case_resolved") == 1);
  CHECK(desk.db.count("SELECT count(*) FROM cutover.outbox WHERE timer_key IS NOT NULL AND published_at IS NULL") == 0);
  const Ended again = desk.run({"resolve", "4", "--outcome", "dismiss", "--reason", "r"});
  CHECK(again.code == 1);
  CHECK_THAT(again.err, ContainsSubstring("it was resolved at") && ContainsSubstring("Do: cutover cases show 4."));
  CHECK(desk.sent_count("security.case_resolved") == 1);
}

TEST_CASE("cases resolve refuses what the case does not allow", "[cli]") {
  Desk desk;
  desk.channel(5, "verified_active");
  desk.tell({desk.opened(4, "C1", "L2", kNoOtp, R"("channel_id":5,)"), desk.opened(6, "C1", "L2", kNoOtp, R"("channel_id":5,)")});
  const auto why = [&](const std::vector<std::string>& arguments) {
    const Ended ended = desk.run(arguments);
    CHECK(ended.code != 0);
    return ended.err;
  };
  CHECK_THAT(why({"resolve", "4", "--outcome", "resolve", "--action", "split", "--reason", "r"}),
             ContainsSubstring("a case of type C1 has no action \"split\"") && ContainsSubstring("award_challenger, award_incumbent"));
  CHECK_THAT(why({"resolve", "6", "--outcome", "resolve", "--action", "award_challenger", "--reason", "r"}),
             ContainsSubstring("case 4 has the channel") && ContainsSubstring("Do: resolve that one first"));
  CHECK_THAT(why({"resolve", "4", "--outcome", "dismiss"}), ContainsSubstring("--reason"));
  CHECK_THAT(why({"resolve", "4", "--outcome", "win", "--reason", "r"}), ContainsSubstring("--outcome"));
  CHECK_THAT(why({"extend-hold", "4", "--reason", "r"}), ContainsSubstring("no hold runs"));
  CHECK_THAT(why({"note", "99", "--reason", "r"}), ContainsSubstring("there is no such case"));
  desk.db.query("UPDATE serving.dispute_queue SET hold_until = now() + interval '1 h'");
  CHECK_THAT(why({"resolve", "4", "--outcome", "dismiss", "--reason", "r"}), ContainsSubstring("it is held until"));
  CHECK(desk.row(4, "state") == "queued");
  CHECK(desk.db.count("SELECT count(*) FROM serving.dispute_audit WHERE actor_type = 'operator'") == 0);
}

TEST_CASE("cases escalate, extend-hold and note do one thing each, and are a first response", "[cli]") {
  Desk desk;
  desk.tell({desk.opened(3, "C3", "L1", kThirdParty)});
  CHECK(desk.answer({"escalate", "3", "--reason", "a minister"})["done"] == "case 3: now in P2");
  CHECK(desk.row(3, "lane || ' ' || (first_response_at IS NOT NULL)") == "2 true");
  CHECK(desk.sent_count("dispute.queue_escalated") == 1);
  CHECK(desk.db.count("SELECT count(*) FROM cutover.outbox WHERE timer_key = 'dispute:3:first_response' AND published_at IS NULL") == 0);
  desk.db.query("UPDATE serving.dispute_queue SET hold_until = date_trunc('day', now()) + interval '2 days'");
  desk.answer({"extend-hold", "3", "--hours", "48", "--reason", "waiting for the carrier"});
  CHECK(desk.row(3, "hold_until = date_trunc('day', now()) + interval '4 days'") == "true");
  CHECK(desk.db.value("SELECT (available_at = date_trunc('day', now()) + interval '4 days')::text FROM cutover.outbox WHERE timer_key = 'dispute:3:hold'") == "true");
  desk.answer({"note", "3", "--reason", "called back"});
  CHECK(desk.audit(3) == "routed decided escalated hold_extended note");
  desk.db.query("UPDATE serving.dispute_queue SET lane = 0, base_lane = 0");
  CHECK_THAT(desk.run({"escalate", "3", "--reason", "r"}).err, ContainsSubstring("it is in P0 already"));
}

TEST_CASE("an operator's command on a case that the monolith owns is refused and says what to do", "[cli]") {
  Desk desk;
  desk.tell({desk.opened(3, "C3", "L1", kThirdParty)});
  desk.db.query("SELECT cutover.stream_incarnation('CORE', '2026-01-01T00:00:00Z')");
  desk.db.query("INSERT INTO cutover.ownership (worker_id, epoch, stream_id, from_sequence, mode, percent, actor, reason) "
                "SELECT worker_id, 1, stream_id, 1, 'shadow', 0, 'test', 'test' FROM cutover.workers, cutover.streams WHERE worker = 'dispute-processor'");
  const Ended refused = desk.run({"note", "3", "--reason", "r"});
  CHECK(refused.code == 1);
  CHECK_THAT(refused.err, ContainsSubstring("case 3: the monolith owns it. Do: act on it in the monolith"));
  CHECK(desk.audit(3) == "routed decided");
  desk.db.query("INSERT INTO cutover.ownership (worker_id, epoch, stream_id, from_sequence, mode, percent, actor, reason) "
                "SELECT worker_id, 2, stream_id, 5, 'worker', 0, 'test', 'test' FROM cutover.workers, cutover.streams WHERE worker = 'dispute-processor'");
  CHECK(desk.run({"note", "3", "--reason", "r"}).code == 0);
}

TEST_CASE("an appeal is resolved like any case, and moves the channel", "[cli]") {
  Desk desk;
  desk.channel(5, "verified_active");
  desk.tell({desk.opened(4, "C1", "L2", kNoOtp, R"("channel_id":5,)")});
  desk.answer({"resolve", "4", "--outcome", "resolve", "--action", "award_challenger", "--reason", "r"});
  desk.tell({desk.reopened(4, 2)});
  CHECK(desk.answer({"ls"})["cases"][0]["case_id"] == -4);
  desk.answer({"resolve", "-4", "--outcome", "resolve", "--action", "award_incumbent", "--reason", "r"});
  CHECK(desk.db.value("SELECT path::text FROM serving.dispute_transitions WHERE case_id = -4") ==
        "{transferred,challenged,limited,disputed,recovered,verified_active}");
}
