#include "workers/dispute/domain/transition.h"

#include <catch2/catch_test_macros.hpp>
#include <set>
#include <string>
#include <vector>

using namespace cutover::dispute;

namespace {

const std::vector<std::string> kStates = {"unclaimed",   "claim_pending", "verified_active",
                                          "challenged",  "limited",       "disputed",
                                          "transferred", "recovered",     "revoked"};

// As it is written down.
const std::set<std::string> kAllowed = {"unclaimed>claim_pending",    "claim_pending>verified_active",
                                        "claim_pending>revoked",      "verified_active>challenged",
                                        "verified_active>revoked",    "challenged>limited",
                                        "challenged>verified_active", "limited>disputed",
                                        "limited>verified_active",    "disputed>transferred",
                                        "disputed>recovered",         "disputed>revoked",
                                        "transferred>challenged",     "recovered>verified_active",
                                        "revoked>claim_pending"};

std::string joined(Ownership from, const std::vector<Ownership>& steps) {
  std::string text(name_of(from));
  for (Ownership step : steps) text += ">" + std::string(name_of(step));
  return text;
}

}  // namespace

TEST_CASE("a channel takes the 15 allowed transitions and none of the 66 other pairs", "[dispute]") {
  REQUIRE(kAllowed.size() == 15);
  int refused = 0;
  for (const std::string& from : kStates)
    for (const std::string& to : kStates) {
      CAPTURE(from, to);
      const bool allowed = transition(ownership_named(from).value(), ownership_named(to).value());
      CHECK(allowed == kAllowed.contains(from + ">" + to));
      refused += !allowed;
    }
  CHECK(refused == 66);
}

TEST_CASE("an award leads from any state to its end by allowed steps", "[dispute]") {
  const std::vector<std::pair<std::string, std::string>> to_transferred = {
      {"unclaimed", "unclaimed>claim_pending>verified_active>challenged>limited>disputed>transferred"},
      {"claim_pending", "claim_pending>verified_active>challenged>limited>disputed>transferred"},
      {"verified_active", "verified_active>challenged>limited>disputed>transferred"},
      {"challenged", "challenged>limited>disputed>transferred"},
      {"limited", "limited>disputed>transferred"},
      {"disputed", "disputed>transferred"},
      {"transferred", "transferred"},
      {"recovered", "recovered>verified_active>challenged>limited>disputed>transferred"},
      {"revoked", "revoked>claim_pending>verified_active>challenged>limited>disputed>transferred"}};
  for (const auto& [from, way] : to_transferred) {
    const Ownership start = ownership_named(from).value();
    CHECK(joined(start, path(start, Ownership::transferred)) == way);
  }
  CHECK(joined(Ownership::challenged, path(Ownership::challenged, Ownership::recovered)) ==
        "challenged>limited>disputed>recovered");
  CHECK(joined(Ownership::recovered, path(Ownership::recovered, Ownership::verified_active)) ==
        "recovered>verified_active");
}

TEST_CASE("nothing leads back to unclaimed, and everything else can be reached", "[dispute]") {
  for (const std::string& from : kStates)
    for (const std::string& to : kStates) {
      CAPTURE(from, to);
      CHECK(path(ownership_named(from).value(), ownership_named(to).value()).empty() ==
            (from == to || to == "unclaimed"));
    }
}

TEST_CASE("a state that nobody knows has no name", "[dispute]") {
  CHECK_FALSE(ownership_named("stolen"));
  CHECK_FALSE(ownership_named(""));
}
