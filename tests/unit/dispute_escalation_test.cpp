#include "workers/dispute/domain/escalate.h"

#include <catch2/catch_test_macros.hpp>
#include <vector>

using namespace cutover::dispute;
using namespace std::chrono_literals;

namespace {

const Instant kNow = std::chrono::sys_days{std::chrono::year{2026} / 3 / 1};

Reasons reasons_of(const std::vector<Reason>& list) {
  Reasons reasons;
  for (Reason reason : list) reasons.add(reason);
  return reasons;
}

}  // namespace

TEST_CASE("each distinct reason raises a case by one lane, never above P0", "[dispute]") {
  for (int base = 0; base < 4; ++base)
    for (int bits = 0; bits < 16; ++bits) {
      std::vector<Reason> list;
      for (int i = 0; i < 4; ++i)
        if ((bits >> i) & 1) list.insert(list.end(), 2, static_cast<Reason>(i));
      const int reasons = static_cast<int>(list.size()) / 2;
      CAPTURE(base, bits);
      CHECK(static_cast<int>(escalate(static_cast<Lane>(base), reasons_of(list))) ==
            (base > reasons ? base - reasons : 0));
    }
}

TEST_CASE("a reason counts once", "[dispute]") {
  Reasons reasons;
  CHECK(reasons.add(Reason::evidence));
  CHECK_FALSE(reasons.add(Reason::evidence));
  CHECK(reasons.count() == 1);
  CHECK(reasons.has(Reason::evidence));
  CHECK_FALSE(reasons.has(Reason::first_response));
}

TEST_CASE("reasons are named in order and read back", "[dispute]") {
  const Reasons all =
      reasons_of({Reason::verified_business, Reason::first_response, Reason::evidence, Reason::earlier_case});
  CHECK(all.names() ==
        std::vector<std::string_view>{"earlier_case", "evidence", "first_response", "verified_business"});
  CHECK(Reasons::named(all.names()) == all);
  CHECK(Reasons::named({"evidence", "bribe"}) == reasons_of({Reason::evidence}));
}

TEST_CASE("the first response is due by lane", "[dispute]") {
  CHECK(first_response_limit(Lane::p0) == 15min);
  CHECK(first_response_limit(Lane::p1) == 4h);
  CHECK(first_response_limit(Lane::p2) == 24h);
  CHECK(first_response_limit(Lane::p3) == 72h);
}

TEST_CASE("a case that rises is due within its new lane's limit from then, and never later than before",
          "[dispute]") {
  CHECK(first_response_due(kNow + 24h, Lane::p0, kNow + 1h) == kNow + 1h + 15min);
  CHECK(first_response_due(kNow + 24h, Lane::p1, kNow + 23h) == kNow + 24h);
}

TEST_CASE("of two cases of a principal within 24 h only the later one rises", "[dispute]") {
  const Opening first{kNow, 7};
  CHECK(escalates(first, {kNow + 1h, 3}));
  CHECK_FALSE(escalates({kNow + 1h, 3}, first));
  CHECK(escalates(first, {kNow + 24h, 8}));
  CHECK_FALSE(escalates(first, {kNow + 24h + 1us, 8}));
  SECTION("opened at one time, the smaller id is the earlier one") {
    CHECK(escalates(first, {kNow, 8}));
    CHECK_FALSE(escalates(first, {kNow, 6}));
    CHECK_FALSE(escalates(first, first));
  }
}
