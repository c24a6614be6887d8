#include "runtime/observe/metrics.h"

#include <string>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace cutover;
using Catch::Matchers::ContainsSubstring;

namespace {

const MetricBounds kBounds{{{"search-projector", {"contact", "profile"}}}};

std::size_t series(const std::string& text) {
  std::size_t lines = 0;
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
    if (text[at] != '#') ++lines;
  return lines;
}

}  // namespace

TEST_CASE("every series exists from the start, at zero", "[metrics]") {
  const Metrics metrics(kBounds, {"0.1.0", "abc"});
  const std::string text = metrics.text();
  CHECK_THAT(
      text, ContainsSubstring(R"(cutover_events_applied_total{lane="contact",worker="search-projector"} 0)"));
  CHECK_THAT(text, ContainsSubstring(R"(kind="crash_suspect")"));
  CHECK_THAT(text, ContainsSubstring("cutover_outbox_depth 0"));
  CHECK_THAT(text, ContainsSubstring(R"(cutover_build_info{revision="abc",version="0.1.0"} 1)"));
}

TEST_CASE("a label value that was not announced counts as other", "[metrics]") {
  Metrics metrics(kBounds, {});
  metrics.lane("search-projector", "made up").applied.add(2);
  metrics.lane("no such worker", "contact").applied.add(3);
  metrics.lane("search-projector", "contact").dead_lettered.add("a new kind of failure");
  const std::string text = metrics.text();
  CHECK_THAT(text,
             ContainsSubstring(R"(cutover_events_applied_total{lane="other",worker="search-projector"} 2)"));
  CHECK_THAT(text, ContainsSubstring(R"(cutover_events_applied_total{lane="other",worker="other"} 3)"));
  CHECK(metrics.lane("search-projector", "contact").dead_lettered.value("other") == 1);
  CHECK_THAT(text, !ContainsSubstring("made up") && !ContainsSubstring("no such worker"));
}

TEST_CASE("no sequence of label values makes the exposition grow", "[metrics]") {
  Metrics metrics(kBounds, {});
  const std::size_t before = series(metrics.text());
  for (int i = 0; i < 1'000; ++i) {
    const std::string name = "hostile" + std::to_string(i);
    metrics.lane(name, name).fetched.add();
    metrics.lane("search-projector", name).dead_lettered.add(name);
    metrics.worker(name).paused.set(1);
  }
  CHECK(series(metrics.text()) == before);
}

TEST_CASE("a lane's handles are its own", "[metrics]") {
  Metrics metrics(kBounds, {});
  LaneMetrics& contact = metrics.lane("search-projector", "contact");
  contact.applied.add(256);
  contact.pending.set(7);
  CHECK(metrics.lane("search-projector", "contact").applied.value() == 256);
  CHECK(metrics.lane("search-projector", "profile").applied.value() == 0);
  CHECK(metrics.lane("search-projector", "contact").pending.value() == 7);
}

TEST_CASE("a batch of observations counts as the same observations one by one", "[metrics]") {
  Metrics at_once(kBounds, {});
  Metrics one_by_one(kBounds, {});
  const std::vector<double> values = {0.0001, 0.0005, 0.0006, 0.003, 1, 2.5, 1e9};
  at_once.lane("search-projector", "contact").publish_to_commit_seconds.observe_all(values);
  for (const double value : values)
    one_by_one.lane("search-projector", "contact").publish_to_commit_seconds.observe(value);
  CHECK(at_once.text() == one_by_one.text());
  CHECK_THAT(at_once.text(), ContainsSubstring(R"(cutover_publish_to_commit_seconds_bucket{lane="contact",)"
                                               R"(worker="search-projector",le="0.0005"} 2)"));
}

TEST_CASE("counters lose nothing between threads, and never go down", "[metrics]") {
  Metrics metrics(kBounds, {});
  Counter& applied = metrics.lane("search-projector", "contact").applied;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&applied] {
        for (int i = 0; i < 10'000; ++i) applied.add();
      });
  }
  applied.add(-5);
  CHECK(applied.value() == 40'000);
}

TEST_CASE("open dead letters are shown by kind, and the ten biggest groups by name", "[metrics]") {
  Metrics metrics(kBounds, {});
  OpenLetterGauges& open = metrics.worker("search-projector").open_letters;
  std::vector<OpenLetterGauges::Group> groups;
  for (int i = 0; i < 12; ++i) groups.push_back({"group" + std::to_string(i), i == 0 ? "malformed" : "rejected", static_cast<std::uint64_t>(100 - i)});
  open.set(groups);
  CHECK_THAT(metrics.text(), ContainsSubstring(R"(cutover_dead_letters_open{kind="malformed",worker="search-projector"} 100)"));
  CHECK_THAT(metrics.text(), ContainsSubstring(R"(cutover_dead_letters_group_open{group="group9",worker="search-projector"} 91)"));
  CHECK_THAT(metrics.text(), !ContainsSubstring("group10") && ContainsSubstring(R"({group="other",worker="search-projector"} 179)"));
  open.set({{"group10", "rejected", 3}});
  CHECK_THAT(metrics.text(), ContainsSubstring(R"({group="group10",worker="search-projector"} 3)") && !ContainsSubstring("group9"));
  CHECK_THAT(metrics.text(), ContainsSubstring(R"(cutover_dead_letters_open{kind="malformed",worker="search-projector"} 0)"));
}
