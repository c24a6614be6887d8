#include <cmath>

#include <catch2/catch_test_macros.hpp>

#include "workers/score/domain/distribution.h"
#include "workers/score/domain/id_index.h"

namespace cutover::test {
namespace {

using namespace score;

std::vector<Scored> same_scores(std::int64_t count, double score) {
  std::vector<Scored> all;
  for (std::int64_t id = 1; id <= count; ++id) all.push_back({id, score, {0.5, 0.5, 0.5, 0.5}});
  return all;
}

// The first `moved` of 1,000 principals moved by `points`.
FormulaLook look_after(std::size_t moved, double points) {
  const std::vector<Scored> before = same_scores(1'000, 50);
  std::vector<Scored> after = before;
  for (std::size_t i = 0; i < moved; ++i) after[i].score += points;
  FormulaLook look;
  look.comparison = compare(before, after);
  look.runs = 1;
  look.seconds_before = 10;
  look.seconds_after = 20;
  return look;
}

}  // namespace

TEST_CASE("a distribution names mean, percentiles and bins", "[score]") {
  std::vector<double> scores;
  for (int i = 100; i >= 1; --i) scores.push_back(i);
  const Distribution d = distribution_of(scores);
  CHECK(d.count == 100);
  CHECK(d.mean == 50.5);
  CHECK(d.p10 == 10);
  CHECK(d.median == 50);
  CHECK(d.p90 == 90);
  CHECK(d.least == 1);
  CHECK(d.most == 100);
  CHECK(d.histogram.front() == 1);  // 1; 2 belongs to the next bin
  CHECK(d.histogram.back() == 3);   // 98, 99, 100
  CHECK(distribution_of({}).count == 0);
}

TEST_CASE("a comparison counts who moved, who is new and who is gone", "[score]") {
  const std::vector<Scored> before{{1, 50, {0.5, 0, 0, 0}}, {2, 50, {}}, {4, 10, {}}};
  const std::vector<Scored> after{{1, 56, {0.7, 0, 0, 0}}, {3, 99, {}}, {4, 31, {}}};
  const Comparison c = compare(before, after);
  CHECK(c.both == 2);
  CHECK(c.appeared == 1);
  CHECK(c.gone == 1);
  CHECK(c.mean_shift == 13.5);
  CHECK(c.moved == std::array<std::uint64_t, 4>{2, 1, 1, 1});
  CHECK(std::abs(c.component_shift[0] - 0.1) < 1e-12);
  CHECK(std::abs(c.component_shift_most[0] - 0.2) < 1e-12);
  CHECK(c.before.count == 3);
  CHECK(c.after.most == 99);
}

TEST_CASE("a formula goes back when scores move too far, runs fail or take too long", "[score]") {
  CHECK_FALSE(reason_to_revert(look_after(0, 0)));
  CHECK_FALSE(reason_to_revert(look_after(50, 10.5)));
  CHECK(reason_to_revert(look_after(51, 10.5)) ==
        "5.10 % of principals moved over 10 points, allowed are 5 %");
  CHECK_FALSE(reason_to_revert(look_after(10, 20.5)));
  CHECK(reason_to_revert(look_after(11, 20.5)) ==
        "1.10 % of principals moved over 20 points, allowed is 1 %");
  CHECK_FALSE(reason_to_revert(look_after(1'000, 4.9)));
  CHECK(reason_to_revert(look_after(1'000, 5.1)));
  FormulaLook failed = look_after(0, 0);
  failed.runs = 3;
  failed.failed_runs = 1;
  CHECK(reason_to_revert(failed) == "1 of 3 runs failed, allowed is 0.1 %");
  FormulaLook slow = look_after(0, 0);
  slow.seconds_after = 20.1;
  CHECK(reason_to_revert(slow));
}

TEST_CASE("an index finds every id and nothing else, however they are spread", "[score]") {
  std::vector<std::int64_t> ids;
  for (std::int64_t i = -50; i < 50; ++i) ids.push_back(i * i * i * 1'000'003);
  ids.push_back(std::numeric_limits<std::int64_t>::max());
  const IdIndex index(ids);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    CHECK(index.find(ids[i]) == i);
    CHECK(index.find(ids[i] - 1) == IdIndex::kNone);
  }
  CHECK(index.find(std::numeric_limits<std::int64_t>::min()) == IdIndex::kNone);
  CHECK(IdIndex().find(1) == IdIndex::kNone);
  CHECK(IdIndex({7}).find(7) == 0);
}

}  // namespace cutover::test
