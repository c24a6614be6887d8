// How a case lives: decided, held, decided again, ended, by the time of its events.
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "workers/dispute/domain/case_life.h"

using namespace cutover::dispute;
using namespace std::chrono_literals;

namespace {

const Instant kOpened = std::chrono::sys_days{std::chrono::year{2026} / 3 / 1};
constexpr auto kDay = 24h;

const ChannelClaim kOneOtp{.challenger_otp = true}, kNoOtp{}, kAmbiguous{true, true, 1, 1};

std::string at_text(Instant at) {
  return std::to_string(std::chrono::duration_cast<std::chrono::hours>(at - kOpened).count());
}

// "decided 1 opened@0 C1.one_otp", "hold@0>24", ...; times in hours since the opening.
std::string text_of(const Happening& happening) {
  struct Text {
    std::string operator()(const Decided& h) const {
      return "decided " + std::to_string(h.evaluation) + " v" + std::to_string(h.version) + " " +
             std::string(name_of(h.cause)) + "@" + at_text(h.as_of) + " " + std::string(h.decision.rule) +
             " P" + std::to_string(static_cast<int>(h.lane));
    }
    std::string operator()(const HoldStarted& h) const {
      return "hold@" + at_text(h.at) + ">" + at_text(h.until);
    }
    std::string operator()(const HoldExtended& h) const {
      return "extended@" + at_text(h.at) + ">" + at_text(h.until);
    }
    std::string operator()(const HoldEnded& h) const { return "hold ended@" + at_text(h.at); }
    std::string operator()(const Resolved& h) const { return "resolved@" + at_text(h.at); }
    std::string operator()(const Blocked& h) const { return "blocked@" + at_text(h.at); }
    std::string operator()(const Appealed& h) const { return "appealed@" + at_text(h.at); }
    std::string operator()(const Ignored& h) const { return "ignored v" + std::to_string(h.version); }
  };
  return std::visit(Text{}, happening);
}

using Story = std::vector<std::string>;

struct CaseFixture {
  explicit CaseFixture(Evidence evidence, Severity severity = Severity::l2, Lane routed = Lane::p0) {
    record.case_id = 1;
    record.type = type_of(evidence);
    record.severity = severity;
    record.opened_at = kOpened;
    record.routed_lane = record.base_lane = record.lane = routed;
    record.first_response_due = kOpened + first_response_limit(routed);
    add(CaseInput::Kind::opened, kOpened, evidence);
  }
  void add(CaseInput::Kind kind, Instant at, Evidence evidence, bool material = true) {
    inputs.push_back({static_cast<std::int64_t>(inputs.size()) + 1, kind, material, at, evidence});
  }
  void evidence(Instant at, Evidence known, bool material = true) {
    add(CaseInput::Kind::evidence, at, known, material);
  }
  void reopen(Instant at) { add(CaseInput::Kind::reopened, at, inputs.back().evidence); }
  template <class Work>
  Story run(Work work) {
    CaseLife life(record, inputs);
    work(life);
    Story story;
    for (const Happening& happening : life.take_happenings()) story.push_back(text_of(happening));
    return story;
  }
  Story catch_up() {
    return run([](CaseLife& life) { life.catch_up(); });
  }
  Story advance(Instant now) {
    return run([&](CaseLife& life) { life.advance(now); });
  }
  CaseRecord record;
  std::vector<CaseInput> inputs;
};

}  // namespace

TEST_CASE("an outcome without hold takes effect at once", "[dispute]") {
  CaseFixture c(RecycledNumber{}, Severity::l1, Lane::p2);
  CHECK(c.catch_up() == Story{"decided 1 v1 opened@0 C2.no_otp P2", "resolved@0"});
  CHECK(c.record.state == State::resolved);
  CHECK(c.record.resolved_by == "C2.no_otp");
}

TEST_CASE("an outcome with a hold takes effect when the hold ends, once", "[dispute]") {
  CaseFixture c(kOneOtp);
  CHECK(c.catch_up() == Story{"decided 1 v1 opened@0 C1.one_otp P0", "hold@0>24"});
  CHECK(c.record.state == State::held);
  CHECK(c.advance(kOpened + kDay - 1us).empty());
  CHECK(c.advance(kOpened + kDay + 5h) == Story{"hold ended@24", "resolved@24"});
  CHECK(c.advance(kOpened + 9 * kDay).empty());
  CHECK(c.catch_up().empty());
}

TEST_CASE("the hold of a queued case ends without a decision and leaves it queued", "[dispute]") {
  CaseFixture c(kAmbiguous);
  CHECK(c.catch_up() == Story{"decided 1 v1 opened@0 C1.ambiguous P1", "hold@0>72"});
  CHECK(c.advance(kOpened + 3 * kDay) == Story{"hold ended@72"});
  CHECK(c.record.state == State::queued);
}

TEST_CASE("material evidence extends a running hold once, and the case is decided again at its end",
          "[dispute]") {
  CaseFixture c(kAmbiguous);
  c.catch_up();
  c.evidence(kOpened + 10h, kOneOtp);
  CHECK(c.catch_up() == Story{"extended@10>96"});
  c.evidence(kOpened + 20h, ChannelClaim{.incumbent_otp = true});
  CHECK(c.catch_up().empty());
  CHECK(c.advance(kOpened + 96h - 1us).empty());
  CHECK(c.advance(kOpened + 96h) ==
        Story{"hold ended@96", "decided 2 v3 hold_ended@96 C1.one_otp P0", "hold@96>120"});
  CHECK(c.record.actions == std::vector<Action>{Action::award_incumbent});
}

TEST_CASE("a rule whose hold is over is not held again", "[dispute]") {
  CaseFixture c(kOneOtp);
  c.catch_up();
  c.evidence(kOpened + 1h, kOneOtp);
  CHECK(c.catch_up() == Story{"extended@1>48"});
  CHECK(c.advance(kOpened + 48h) ==
        Story{"hold ended@48", "decided 2 v2 hold_ended@48 C1.one_otp P0", "resolved@48"});
}

TEST_CASE("evidence that is not material is known to the next decision and asks for none", "[dispute]") {
  CaseFixture c(kNoOtp);
  c.catch_up();
  c.evidence(kOpened + 1h, kOneOtp, false);
  CHECK(c.catch_up().empty());
  c.evidence(kOpened + 2h, kOneOtp);
  CHECK(c.catch_up() == Story{"decided 2 v3 evidence@2 C1.one_otp P0", "hold@2>26"});
}

TEST_CASE("cooling is decided again seven days after the claim, and evidence meanwhile decides at once",
          "[dispute]") {
  const RecycledNumber claim{.otp = true, .claimed_at = kOpened - 24h};
  CaseFixture c(claim, Severity::l1, Lane::p2);
  CHECK(c.catch_up() == Story{"decided 1 v1 opened@0 C2.cooling P2"});
  CHECK(c.record.state == State::waiting);
  CHECK(c.record.decide_at == kOpened + 6 * kDay);
  SECTION("nothing happens") {
    CHECK(c.advance(kOpened + 6 * kDay) ==
          Story{"decided 2 v1 cooling_ended@144 C2.cooled P2", "hold@144>192"});
    CHECK(c.advance(kOpened + 8 * kDay) == Story{"hold ended@192", "resolved@192"});
  }
  SECTION("the old owner disputes") {
    RecycledNumber disputed = claim;
    disputed.old_owner_disputed = true;
    c.evidence(kOpened + 5h, disputed);
    CHECK(c.catch_up() == Story{"decided 2 v2 evidence@5 C2.disputed P2"});
    CHECK_FALSE(c.record.decide_at);
    CHECK(c.advance(kOpened + 30 * kDay).empty());
  }
}

TEST_CASE("a history taken in at one go gives what it gave event by event", "[dispute]") {
  const auto tell = [](CaseFixture& c, bool at_once) {
    Story story;
    const auto more = [&](Story part) { story.insert(story.end(), part.begin(), part.end()); };
    if (!at_once) more(c.catch_up());
    c.evidence(kOpened + 70h, kNoOtp);
    if (!at_once) more(c.catch_up());
    if (!at_once) more(c.advance(kOpened + 96h));
    c.evidence(kOpened + 100h, kOneOtp);
    if (!at_once) more(c.catch_up());
    if (!at_once) more(c.advance(kOpened + 124h));
    c.evidence(kOpened + 125h, kAmbiguous);
    c.reopen(kOpened + 130h);
    more(c.catch_up());
    return story;
  };
  CaseFixture slow(kAmbiguous), quick(kAmbiguous);
  const Story story = tell(slow, false);
  CHECK(story == tell(quick, true));
  CHECK(story == Story{"decided 1 v1 opened@0 C1.ambiguous P1", "hold@0>72", "extended@70>96",
                       "hold ended@96", "decided 2 v2 hold_ended@96 C1.no_otp P0",
                       "decided 3 v3 evidence@100 C1.one_otp P0", "hold@100>124", "hold ended@124",
                       "resolved@124", "ignored v4", "appealed@130"});
}

TEST_CASE("an award waits for the channel, a rejection does not", "[dispute]") {
  SECTION("award") {
    CaseFixture c(kOneOtp);
    c.record.blocked_by = 99;
    c.catch_up();
    CHECK(c.advance(kOpened + 30h) == Story{"hold ended@24", "blocked@24"});
    CHECK(c.record.state == State::held);
    c.evidence(kOpened + 40h, kNoOtp);
    CHECK(c.catch_up() == Story{"ignored v2"});  // the outcome stands, however long the other case takes
    c.reopen(kOpened + 41h);
    CHECK(c.catch_up() == Story{"appealed@41"});
    CHECK(c.run([](CaseLife& life) { life.unblock(kOpened + 50h); }) == Story{"resolved@50"});
    CHECK_FALSE(c.record.blocked_by);
  }
  SECTION("the channel is free before the hold is over") {
    CaseFixture c(kOneOtp);
    c.record.blocked_by = 99;
    c.catch_up();
    CHECK(c.run([](CaseLife& life) { life.unblock(kOpened + 5h); }).empty());
    CHECK(c.advance(kOpened + 24h) == Story{"hold ended@24", "resolved@24"});
  }
  SECTION("rejection") {
    CaseFixture c(RecycledNumber{}, Severity::l1, Lane::p2);
    c.record.blocked_by = 99;
    CHECK(c.catch_up() == Story{"decided 1 v1 opened@0 C2.no_otp P2", "resolved@0"});
  }
}

TEST_CASE("evidence and appeals that come at the wrong time are ignored", "[dispute]") {
  CaseFixture c(kNoOtp);
  c.reopen(kOpened + 1h);
  CHECK(c.catch_up() == Story{"decided 1 v1 opened@0 C1.no_otp P0", "ignored v2"});
  CaseFixture appeal(RecycledNumber{}, Severity::l1, Lane::p2);
  appeal.record.appeal_of = 5;
  appeal.catch_up();
  appeal.evidence(kOpened + 1h, RecycledNumber{.otp = true, .claimed_at = kOpened});
  appeal.reopen(kOpened + 2h);
  CHECK(appeal.catch_up() == Story{"ignored v2", "ignored v3"});
}

TEST_CASE("what an operator resolved is not decided any more", "[dispute]") {
  CaseFixture c(kNoOtp);
  CHECK(c.run([](CaseLife& life) {
    life.resolve(Outcome::resolve, {Action::award_incumbent}, "anna", kOpened + 1h);
  }) == Story{"resolved@1"});
  CHECK(c.record.resolved_by == "anna");
  CHECK(c.catch_up() == Story{"ignored v1"});
  CHECK(c.record.evaluations == 0);
}

TEST_CASE("the lane follows base and reasons, and a rise brings the first response forward", "[dispute]") {
  CaseFixture c(kNoOtp, Severity::l1, Lane::p3);
  CHECK_FALSE(update_lane(c.record, kOpened));
  c.record.reasons.add(Reason::evidence);
  CHECK(update_lane(c.record, kOpened + 1h));
  CHECK(c.record.lane == Lane::p2);
  CHECK(c.record.first_response_due == kOpened + 25h);
  c.record.base_lane = Lane::p0;
  CHECK(update_lane(c.record, kOpened + 2h));
  CHECK(c.record.first_response_due == kOpened + 2h + 15min);
  c.record.base_lane = Lane::p3;
  CHECK(update_lane(c.record, kOpened + 3h));
  CHECK(c.record.lane == Lane::p2);
  CHECK(c.record.first_response_due == kOpened + 2h + 15min);
}
