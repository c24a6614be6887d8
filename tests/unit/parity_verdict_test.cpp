#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <functional>

#include "runtime/parity/marks.h"
#include "runtime/parity/verdict.h"

namespace cutover::parity {
namespace {

const std::vector<Output> kOutputs = [] {
  Output output;
  output.name = "scores";
  output.strata = {"old", "new"};
  return std::vector<Output>{output};
}();

Summary fine() {
  Summary summary;
  summary.against = "shadow";
  OutputResult result;
  result.output = "scores";
  count_of(result.counts, Class::equal) = 990;
  count_of(result.counts, Class::tolerated) = 10;
  result.serving_rows = result.worker_rows = 1'000;
  result.strata = {{"old", 970}, {"new", 30}};
  summary.outputs = {result};
  return summary;
}

struct Case {
  std::string what;
  Verdict verdict;
  std::string reason;
  std::function<void(Summary&, Circumstances&)> spoil;
};

}  // namespace

TEST_CASE("a verdict is ok, different or inconclusive, and says why", "[parity]") {
  using S = Summary;
  using C = Circumstances;
  const auto count = [](Class what, std::uint64_t n) {
    return [=](S& s, C&) { count_of(s.outputs[0].counts, what) = n; };
  };
  const std::vector<Case> cases = {
      {"nothing", Verdict::ok, "", [](S&, C&) {}},
      {"one missing", Verdict::different, "1 missing", count(Class::missing, 1)},
      {"one extra", Verdict::different, "1 extra", count(Class::extra, 1)},
      {"a field", Verdict::different, "2 field differs", count(Class::field_differs, 2)},
      {"a type", Verdict::different, "1 type differs", count(Class::type_differs, 1)},
      {"ignored", Verdict::ok, "", count(Class::ignored, 5)},
      {"pending", Verdict::ok, "", count(Class::pending, 5'000)},
      {"few transient", Verdict::ok, "", count(Class::transient, 10)},
      {"many transient", Verdict::inconclusive, "differed at first", count(Class::transient, 11)},
      {"an error", Verdict::different, "1 error on one side",
       [](S& s, C&) { count_of(s.errors, Class::error_on_one_side) = 1; }},
      {"errors", Verdict::different, "1 errors differ",
       [](S& s, C&) { count_of(s.errors, Class::errors_differ) = 1; }},
      {"999 samples", Verdict::inconclusive, "too few samples: 999 of 1000", count(Class::equal, 989)},
      {"29 of a stratum", Verdict::inconclusive, "too few samples of new: 29 of 30",
       [](S& s, C&) { s.outputs[0].strata["new"] = 29; }},
      {"a stratum that is not there", Verdict::inconclusive, "too few samples of old: 0 of 30",
       [](S& s, C&) { s.outputs[0].strata.erase("old"); }},
      {"a difference in few samples", Verdict::different, "1 missing",
       [](S& s, C&) {
         count_of(s.outputs[0].counts, Class::equal) = 1;
         count_of(s.outputs[0].counts, Class::missing) = 1;
       }},
      {"the worker's table is empty", Verdict::inconclusive, "shadow is empty",
       [](S& s, C&) {
         s.outputs[0].worker_rows = 0;
         count_of(s.outputs[0].counts, Class::missing) = 1'000;
       }},
      {"serving is empty", Verdict::inconclusive, "serving is empty",
       [](S& s, C&) { s.outputs[0].serving_rows = 0; }},
      {"both are empty", Verdict::inconclusive, "not one row", [](S& s, C&) { s.outputs[0] = {}; }},
      {"one side is dead", Verdict::inconclusive, "no instance",
       [](S& s, C& c) {
         c.obstacles = {"no instance of the worker is alive"};
         count_of(s.outputs[0].counts, Class::missing) = 1;
       }},
      {"nothing since then", Verdict::inconclusive, "too few samples: 0",
       [](S& s, C& c) {
         c.partial = true;
         s.outputs[0] = {};
       }},
  };
  for (const Case& one : cases) {
    INFO(one.what);
    Summary summary = fine();
    Circumstances circumstances;
    one.spoil(summary, circumstances);
    judge(summary, kOutputs, circumstances, {});
    CHECK(summary.verdict == one.verdict);
    CHECK(summary.reasons.empty() == one.reason.empty());
    if (!one.reason.empty())
      CHECK(std::any_of(summary.reasons.begin(), summary.reasons.end(), [&](const std::string& reason) {
        return reason.find(one.reason) != std::string::npos;
      }));
  }
}

TEST_CASE("an ignore rule that fails makes the verdict different", "[parity]") {
  Summary summary = fine();
  count_of(summary.outputs[0].counts, Class::ignored) = 1;
  summary.outputs[0].ignores = {{{"scores", "formula", "ann", "renamed", "2026-11-20", 0.5}, true, 0}};
  judge(summary, kOutputs, {}, {});
  CHECK(summary.verdict == Verdict::different);
  CHECK(summary.reasons.front().find("expired") != std::string::npos);
}

TEST_CASE("a constant bias of 0.004 fails, one of 0.0005 does not", "[parity]") {
  Statistics s;
  s.field = "score";
  s.pairs = 10'000;
  s.mean_difference = 0.004;
  s.deviation = 1e-9;
  CHECK(bias_of(s).fails);
  s.mean_difference = -0.004;
  CHECK(bias_of(s).fails);
  s.mean_difference = 0.0005;
  CHECK(!bias_of(s).fails);
  Summary summary = fine();
  s.mean_difference = 0.004;
  summary.outputs[0].statistics = s;
  judge(summary, kOutputs, {}, {});
  CHECK(summary.verdict == Verdict::different);
  CHECK(summary.reasons.front().find("biased by +0.00400") != std::string::npos);
}

TEST_CASE("a mean that chance explains is no bias", "[parity]") {
  Statistics s;
  s.pairs = 100;
  s.mean_difference = 0.004;
  s.deviation = 0.05;
  CHECK(!bias_of(s).fails);
  CHECK(bias_of(s).low < 0);
  s.pairs = 10'000;
  CHECK(bias_of(s).fails);
  s.pairs = 1;
  CHECK(!bias_of(s).fails);
  // The interval of a textbook: mean 10, deviation 2, 16 pairs: 8.934 to 11.066.
  s = {};
  s.pairs = 16;
  s.mean_difference = 10;
  s.deviation = 2;
  CHECK(std::abs(bias_of(s).low - 8.934) < 0.001);
  CHECK(std::abs(bias_of(s).high - 11.066) < 0.001);
}

TEST_CASE("a row of an event beyond the watermark is pending, older ones and those of no event are not",
          "[parity]") {
  const Marks marks = {{"CONTACT", {10, 20, "worker"}}};
  const auto pair = [](const std::string& stream, std::uint64_t serving, std::uint64_t worker) {
    return RowPair{{"1"}, Row{{}, stream, serving, ""}, Row{{}, stream, worker, ""}};
  };
  CHECK(beyond(pair("CONTACT", 10, 10), marks).empty());
  CHECK(beyond(pair("CONTACT", 11, 10), marks) == "CONTACT/10");
  CHECK(beyond(pair("CONTACT", 10, 11), marks) == "CONTACT/10");
  CHECK(beyond(pair("", 0, 0), marks).empty());
  CHECK(beyond(pair("CORE", 99, 99), marks).empty());
  CHECK(beyond({{"1"}, Row{{}, "CONTACT", 11, ""}, std::nullopt}, marks) == "CONTACT/10");
}

TEST_CASE("both sides are as far as either was, stream by stream", "[parity]") {
  const Marks then = {{"CONTACT", {10, 20, "worker"}}, {"CORE", {5, 5, ""}}};
  CHECK(!has_reached(then, then));
  CHECK(!has_reached({{"CONTACT", {19, 30, "worker"}}, {"CORE", {5, 5, ""}}}, then));
  CHECK(has_reached({{"CONTACT", {20, 30, "worker"}}, {"CORE", {5, 9, "worker"}}}, then));
  CHECK(!has_reached({{"CONTACT", {20, 30, "worker"}}}, then));
}

TEST_CASE("a watermark stands still when something waits all the while", "[parity]") {
  const Marks waiting = {{"CONTACT", {10, 20, "serving"}}};
  const auto reasons = standing_still(waiting, {{"CONTACT", {10, 25, "serving"}}});
  REQUIRE(reasons.size() == 1);
  CHECK(reasons[0].find("stands at 10: the monolith has not settled 11") != std::string::npos);
  CHECK(standing_still(waiting, {{"CONTACT", {11, 25, "serving"}}}).empty());
  CHECK(standing_still(waiting, {{"CONTACT", {20, 20, ""}}}).empty());
  // What came only now has not waited.
  CHECK(standing_still({{"CONTACT", {10, 10, ""}}}, {{"CONTACT", {10, 11, "worker"}}}).empty());
}

}  // namespace cutover::parity
