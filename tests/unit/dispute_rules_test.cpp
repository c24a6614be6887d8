// Every class of evidence against the rules as they are written down. The tables below are the expectation:
// each row is one class of cases, spelt out by the values at its edges and far from them.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "workers/dispute/domain/adjudicate.h"
#include "workers/dispute/domain/route.h"

using namespace cutover::dispute;
using namespace std::chrono_literals;

namespace {

const Instant kNow = std::chrono::sys_days{std::chrono::year{2026} / 3 / 1};
const std::vector<Severity> kSeverities = {Severity::l1, Severity::l2, Severity::l3};

// "C1.one_otp resolve 99 - 24 award_challenger": rule, outcome, confidence in percent, lane or -, hold in
// hours, actions.
std::string text_of(const Decision& decision) {
  std::string text = std::string(decision.rule) + " " + std::string(name_of(decision.outcome)) + " " +
                     std::to_string(decision.confidence_percent) + " " +
                     (decision.lane ? "P" + std::to_string(static_cast<int>(*decision.lane)) : "-") + " " +
                     std::to_string(decision.hold.count());
  for (Action action : decision.actions) text += " " + std::string(name_of(action));
  return text;
}

// Counts how often each leaf was reached, over all tests of this file.
std::map<std::string, int>& reached() {
  static std::map<std::string, int> counts;
  return counts;
}

void check(Severity severity, const Evidence& evidence, const std::string& expected) {
  const Decision decision = adjudicate(severity, evidence, kNow);
  CHECK(text_of(decision) == expected);
  ++reached()[std::string(decision.rule)];
}

using Numbers = std::vector<std::int64_t>;

// Days on a device: not trusted, trusted.
const Numbers kNew = {0, 1, 29}, kOld = {30, 31, 4'000};

void check_c1() {
  struct Row {
    bool incumbent_otp, challenger_otp;
    Numbers incumbent_days, challenger_days;
    std::string expected;
  };
  const std::string award_incumbent = "C1.one_otp resolve 99 - 24 award_incumbent";
  const std::string award_challenger = "C1.one_otp resolve 99 - 24 award_challenger";
  const std::vector<Row> table = {
      {true, false, kNew, kNew, award_incumbent},
      {true, false, kNew, kOld, award_incumbent},
      {true, false, kOld, kNew, award_incumbent},
      {true, false, kOld, kOld, award_incumbent},
      {false, true, kNew, kNew, award_challenger},
      {false, true, kNew, kOld, award_challenger},
      {false, true, kOld, kNew, award_challenger},
      {false, true, kOld, kOld, award_challenger},
      {true, true, kNew, kNew, "C1.ambiguous queue 50 P1 72"},
      {true, true, kNew, kOld, "C1.device queue 85 - 0 favour_challenger"},
      {true, true, kOld, kNew, "C1.device queue 85 - 0 favour_incumbent"},
      {true, true, kOld, kOld, "C1.ambiguous queue 50 P1 72"},
      {false, false, kNew, kNew, "C1.no_otp queue 50 P0 0"},
      {false, false, kNew, kOld, "C1.no_otp queue 50 P0 0"},
      {false, false, kOld, kNew, "C1.no_otp queue 50 P0 0"},
      {false, false, kOld, kOld, "C1.no_otp queue 50 P0 0"},
  };
  REQUIRE(table.size() == 16);
  for (const Row& row : table)
    for (std::int64_t incumbent : row.incumbent_days)
      for (std::int64_t challenger : row.challenger_days)
        for (Severity severity : kSeverities)
          check(severity, ChannelClaim{row.incumbent_otp, row.challenger_otp, incumbent, challenger},
                row.expected);
}

void check_c2() {
  const Numbers active = {0, 89, 90}, inactive = {91, 92, 10'000};
  using Times = std::vector<Instant>;
  const Times cooled = {kNow - 24h * 7, kNow - 24h * 7 - 1us, kNow - 24h * 400};
  const Times fresh = {kNow - 24h * 7 + 1us, kNow - 1h, kNow, kNow + 24h};
  struct Row {
    bool otp;
    Numbers inactive_days;
    bool disputed;
    Times claimed_at;
    std::string expected;
  };
  const std::vector<Row> table = {
      {false, active, false, cooled, "C2.no_otp reject 100 - 0"},
      {false, active, false, fresh, "C2.no_otp reject 100 - 0"},
      {false, active, true, cooled, "C2.no_otp reject 100 - 0"},
      {false, active, true, fresh, "C2.no_otp reject 100 - 0"},
      {false, inactive, false, cooled, "C2.no_otp reject 100 - 0"},
      {false, inactive, false, fresh, "C2.no_otp reject 100 - 0"},
      {false, inactive, true, cooled, "C2.no_otp reject 100 - 0"},
      {false, inactive, true, fresh, "C2.no_otp reject 100 - 0"},
      {true, inactive, false, cooled, "C2.inactive resolve 99 - 0 transfer"},
      {true, inactive, false, fresh, "C2.inactive resolve 99 - 0 transfer"},
      {true, inactive, true, cooled, "C2.inactive resolve 99 - 0 transfer"},
      {true, inactive, true, fresh, "C2.inactive resolve 99 - 0 transfer"},
      {true, active, true, cooled, "C2.disputed queue 50 P2 0"},
      {true, active, true, fresh, "C2.disputed queue 50 P2 0"},
      {true, active, false, cooled, "C2.cooled resolve 98 - 48 transfer"},
      {true, active, false, fresh, "C2.cooling wait 50 - 0"},
  };
  REQUIRE(table.size() == 16);
  for (const Row& row : table)
    for (std::int64_t days : row.inactive_days)
      for (Instant claimed_at : row.claimed_at)
        for (Severity severity : kSeverities) {
          check(severity, RecycledNumber{row.otp, days, claimed_at, row.disputed}, row.expected);
          const Decision decision =
              adjudicate(severity, RecycledNumber{row.otp, days, claimed_at, row.disputed}, kNow);
          CHECK(decision.decide_at.has_value() == (decision.outcome == Outcome::wait));
          if (decision.decide_at) CHECK(*decision.decide_at == claimed_at + 24h * 7);
        }
}

void check_c3() {
  struct Row {
    bool auto_applied, confirmed;
    std::string expected;
  };
  const std::vector<Row> table = {{true, true, "C3.auto resolve 100 - 24 undo"},
                                  {true, false, "C3.auto resolve 100 - 24 undo"},
                                  {false, true, "C3.confirmer resolve 95 - 0 split"},
                                  {false, false, "C3.third_party queue 50 P3 0"}};
  for (const Row& row : table)
    for (Severity severity : kSeverities)
      check(severity, WrongMerge{row.auto_applied, row.confirmed}, row.expected);
}

void check_c4() {
  using Degrees = std::vector<double>;
  const Degrees unlike = {0, 0.5, 0.80}, alike = {0.8000001, 0.9, 1};
  struct Row {
    bool exact, is_target;
    Degrees similarity;
    bool insists;
    std::string expected;
  };
  const std::string target = "C4.exact_target queue 90 P1 0 reduce_discoverability";
  const std::string other = "C4.exact_other queue 80 P2 0 reduce_discoverability";
  const std::vector<Row> table = {
      {true, true, unlike, false, target},
      {true, true, unlike, true, target},
      {true, true, alike, false, target},
      {true, true, alike, true, target},
      {true, false, unlike, false, other},
      {true, false, unlike, true, other},
      {true, false, alike, false, other},
      {true, false, alike, true, other},
      {false, true, alike, false, "C4.fuzzy queue 75 P2 48"},
      {false, true, alike, true, "C4.fuzzy queue 75 P2 48"},
      {false, false, alike, false, "C4.fuzzy queue 75 P2 48"},
      {false, false, alike, true, "C4.fuzzy queue 75 P2 48"},
      {false, true, unlike, true, "C4.insists queue 70 P3 0"},
      {false, false, unlike, true, "C4.insists queue 70 P3 0"},
      {false, true, unlike, false, "C4.dismissed dismiss 70 - 0"},
      {false, false, unlike, false, "C4.dismissed dismiss 70 - 0"},
  };
  REQUIRE(table.size() == 16);
  for (const Row& row : table)
    for (double similarity : row.similarity)
      for (bool is_user : {false, true})
        for (Severity severity : kSeverities)
          check(severity, Impersonation{row.exact, row.is_target, is_user, row.insists, similarity},
                row.expected);
}

void check_c5() {
  using Levels = std::vector<std::pair<std::int64_t, std::int64_t>>;  // challenger, incumbent
  const Levels none = {{0, 0}, {0, 1}, {0, 2}, {0, 3}};
  const Levels higher = {{1, 0}, {2, 0}, {3, 0}, {2, 1}, {3, 1}, {3, 2}};
  const Levels not_higher = {{1, 1}, {2, 2}, {3, 3}, {1, 2}, {1, 3}, {2, 3}};
  REQUIRE(none.size() + higher.size() + not_higher.size() == 16);
  const Numbers small = {0, 1, 49}, large = {50, 51, 100'000};
  struct Row {
    Levels levels;
    Numbers employees;
    Severity severity;
    std::string expected;
  };
  const std::string large_dismissal = "C5.large queue 50 P0 72 freeze_organisation recommend_dismissal";
  const std::string large_challenger = "C5.large queue 50 P0 72 freeze_organisation recommend_challenger";
  const std::string large_documents = "C5.large queue 50 P0 72 freeze_organisation recommend_legal_documents";
  const std::string small_dismissal = "C5.small queue 50 P1 72 freeze_organisation recommend_dismissal";
  const std::string small_challenger = "C5.small queue 50 P1 72 freeze_organisation recommend_challenger";
  const std::string small_documents = "C5.small queue 50 P1 72 freeze_organisation recommend_legal_documents";
  const std::vector<Row> table = {
      {none, small, Severity::l1, small_dismissal},       {none, small, Severity::l2, large_dismissal},
      {none, small, Severity::l3, large_dismissal},       {none, large, Severity::l1, large_dismissal},
      {none, large, Severity::l2, large_dismissal},       {none, large, Severity::l3, large_dismissal},
      {higher, small, Severity::l1, small_challenger},    {higher, small, Severity::l2, large_challenger},
      {higher, small, Severity::l3, large_challenger},    {higher, large, Severity::l1, large_challenger},
      {higher, large, Severity::l2, large_challenger},    {higher, large, Severity::l3, large_challenger},
      {not_higher, small, Severity::l1, small_documents}, {not_higher, small, Severity::l2, large_documents},
      {not_higher, small, Severity::l3, large_documents}, {not_higher, large, Severity::l1, large_documents},
      {not_higher, large, Severity::l2, large_documents}, {not_higher, large, Severity::l3, large_documents},
  };
  for (const Row& row : table)
    for (const auto& [challenger, incumbent] : row.levels)
      for (std::int64_t employees : row.employees)
        check(row.severity, BusinessAuthority{challenger, incumbent, employees}, row.expected);
}

void check_c6() {
  using Ratios = std::vector<double>;
  const Ratios low = {0, 1, 1.4999999}, middle = {1.5, 2, 2.9999999}, high = {3, 3.1, 1'000};
  const Numbers nobody = {0}, one = {1}, some = {2, 3, 4}, many = {5, 6, 1'000};
  struct Row {
    Ratios ratio;
    Numbers reports;
    std::string expected;
  };
  const std::string ratio3 = "C6.ratio3 queue 80 P2 0 restrict", ratio1_5 = "C6.ratio1_5 resolve 95 - 0 warn";
  const std::vector<Row> table = {
      {high, nobody, ratio3},
      {high, one, ratio3},
      {high, some, ratio3},
      {high, many, ratio3},
      {middle, nobody, ratio1_5},
      {middle, one, ratio1_5},
      {middle, some, ratio1_5},
      {middle, many, ratio1_5},
      {low, many, "C6.reports5 queue 80 P1 0 restrict"},
      {low, some, "C6.reports2 queue 60 P3 0 warn"},
      {low, one, "C6.report1 resolve 95 - 0 log"},
      {low, nobody, "C6.none dismiss 95 - 0"},
  };
  for (const Row& row : table)
    for (double ratio : row.ratio)
      for (std::int64_t reports : row.reports)
        for (double delta : {0.0, 30.0, 30.5, 100.0})
          for (Severity severity : kSeverities)
            check(severity, TrustDispute{ratio, reports, delta}, row.expected);
}

}  // namespace

TEST_CASE("C1 is decided as written for every class of evidence", "[dispute]") {
  check_c1();
}
TEST_CASE("C2 is decided as written for every class of evidence", "[dispute]") {
  check_c2();
}
TEST_CASE("C3 is decided as written for every class of evidence", "[dispute]") {
  check_c3();
}
TEST_CASE("C4 is decided as written for every class of evidence", "[dispute]") {
  check_c4();
}
TEST_CASE("C5 is decided as written for every class of evidence", "[dispute]") {
  check_c5();
}
TEST_CASE("C6 is decided as written for every class of evidence", "[dispute]") {
  check_c6();
}

TEST_CASE("no leaf is left out", "[dispute]") {
  reached().clear();
  for (auto* check_type : {check_c1, check_c2, check_c3, check_c4, check_c5, check_c6}) check_type();
  const std::set<std::string> written = {
      "C1.one_otp",   "C1.device",      "C1.ambiguous",    "C1.no_otp",      "C2.no_otp",
      "C2.inactive",  "C2.disputed",    "C2.cooled",       "C2.cooling",     "C3.auto",
      "C3.confirmer", "C3.third_party", "C4.exact_target", "C4.exact_other", "C4.fuzzy",
      "C4.insists",   "C4.dismissed",   "C5.large",        "C5.small",       "C6.ratio3",
      "C6.ratio1_5",  "C6.reports5",    "C6.reports2",     "C6.report1",     "C6.none"};
  std::set<std::string> found, named;
  for (const auto& [rule, count] : reached()) found.insert(rule);
  for (const std::string_view rule : rule_ids()) named.insert(std::string(rule));
  CHECK(found == written);
  CHECK(named == written);
}

TEST_CASE("a case goes to the first row of the routing table that fits", "[dispute]") {
  struct Row {
    Severity severity;
    Evidence evidence;
    Lane lane;
    std::string_view rule;
  };
  const auto l1 = Severity::l1, l2 = Severity::l2, l3 = Severity::l3;
  const Impersonation of_user{.target_is_user = true}, of_other{.target_is_user = false};
  const TrustDispute fell{.trust_delta = 30.0001}, fell_far{.trust_delta = 100}, held{.trust_delta = 30},
      rose{.trust_delta = -40};
  const std::vector<Row> table = {
      {l1, ChannelClaim{}, Lane::p2, "route.light_claim"},
      {l2, ChannelClaim{}, Lane::p0, "route.severe_claim"},
      {l3, ChannelClaim{}, Lane::p0, "route.severe_claim"},
      {l1, RecycledNumber{}, Lane::p2, "route.light_claim"},
      {l2, RecycledNumber{}, Lane::p2, "route.other"},
      {l3, RecycledNumber{}, Lane::p2, "route.other"},
      {l1, WrongMerge{}, Lane::p3, "route.merge"},
      {l2, WrongMerge{}, Lane::p3, "route.merge"},
      {l3, WrongMerge{}, Lane::p3, "route.merge"},
      {l1, of_user, Lane::p1, "route.user_impersonated"},
      {l2, of_user, Lane::p1, "route.user_impersonated"},
      {l3, of_user, Lane::p1, "route.user_impersonated"},
      {l1, of_other, Lane::p2, "route.other"},
      {l2, of_other, Lane::p2, "route.other"},
      {l3, of_other, Lane::p2, "route.other"},
      {l1, BusinessAuthority{}, Lane::p2, "route.other"},
      {l2, BusinessAuthority{}, Lane::p0, "route.severe_claim"},
      {l3, BusinessAuthority{}, Lane::p0, "route.severe_claim"},
      {l1, fell, Lane::p1, "route.trust_fell"},
      {l2, fell_far, Lane::p1, "route.trust_fell"},
      {l3, fell, Lane::p1, "route.trust_fell"},
      {l1, held, Lane::p2, "route.other"},
      {l2, held, Lane::p2, "route.other"},
      {l3, rose, Lane::p2, "route.other"},
  };
  std::set<std::string_view> rules;
  for (const Row& row : table) {
    const Route found = route(row.severity, row.evidence);
    CAPTURE(row.evidence.index(), static_cast<int>(row.severity));
    CHECK(found.lane == row.lane);
    CHECK(found.rule == row.rule);
    rules.insert(found.rule);
  }
  CHECK(rules.size() == 6);
}

TEST_CASE("nothing is decided for somebody without an operator below 0.95", "[dispute]") {
  reached().clear();
  int automatic = 0;
  for (int incumbent = 0; incumbent < 2; ++incumbent)
    for (int challenger = 0; challenger < 2; ++challenger)
      for (const Evidence& evidence : std::vector<Evidence>{
               ChannelClaim{incumbent == 1, challenger == 1, 0, 40},
               RecycledNumber{true, incumbent * 100, kNow - 24h * 8 * challenger, false},
               WrongMerge{incumbent == 1, challenger == 1}, TrustDispute{1.5 * incumbent, challenger, 0},
               BusinessAuthority{incumbent * 3, challenger, 10}}) {
        const Decision decision = adjudicate(Severity::l1, evidence, kNow);
        if (decision.outcome != Outcome::resolve) continue;
        ++automatic;
        CHECK(decision.confidence_percent >= kAutomaticPercent);
        CHECK(type_of(evidence) != CaseType::c5);
      }
  CHECK(automatic >= 8);
}

TEST_CASE("names of outcomes and actions are read back", "[dispute]") {
  for (int i = 0; i < 5; ++i)
    CHECK(outcome_named(name_of(static_cast<Outcome>(i))) == static_cast<Outcome>(i));
  std::vector<std::string_view> names;
  for (int i = 0; i < 15; ++i) {
    names.push_back(name_of(static_cast<Action>(i)));
    CHECK(action_named(names.back()) == static_cast<Action>(i));
  }
  CHECK(std::is_sorted(names.begin(), names.end()));
  CHECK_FALSE(outcome_named("resolved"));
  CHECK_FALSE(action_named(""));
}
