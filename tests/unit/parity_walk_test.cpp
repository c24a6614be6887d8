#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <functional>

#include "runtime/parity/output_comparison.h"

namespace cutover::parity {
namespace {

using std::chrono::milliseconds;

Output measured() {
  Output output;
  output.name = "scores";
  output.keys = {"id"};
  output.fields = {{"score", OutputField::Rule::number, 0.01}, {"name"}};
  return output;
}

// Two tables in memory. The hash is the sum of the rows' hashes, as any that a database would take.
class TwoTables final : public RowReader {
 public:
  struct Cells {
    Value score, name;
    std::uint64_t sequence = 1;
  };
  std::map<Key, Cells> serving, worker;
  Marks at = {{"S", {1'000, 1'000, ""}}};
  std::vector<ColumnDifference> differing_columns;
  std::function<void()> before_marks = [] {};
  std::uint64_t hashed = 0, read_rows = 0;

  static Key key(int i) {
    std::string text = std::to_string(i);
    return {std::string(7 - text.size(), '0') + text};
  }
  void fill(int rows) {
    for (int i = 0; i < rows; ++i) serving[key(i)] = worker[key(i)] = {std::to_string(i), "name", 1};
  }

  std::vector<ColumnDifference> columns() override { return differing_columns; }
  std::optional<Key> step(const KeyRange& range, std::uint64_t rows) override {
    std::vector<Key> keys;
    for (const auto* table : {&serving, &worker})
      for (const auto& [k, cells] : *table)
        if (holds(range, k)) keys.push_back(k);
    std::sort(keys.begin(), keys.end());
    if (keys.size() < rows) return std::nullopt;
    return keys[rows - 1];
  }
  BlockPair hash(const KeyRange& range) override { return {hash(serving, range), hash(worker, range)}; }
  std::uint64_t count_unequal(const KeyRange& range) override {
    std::uint64_t count = 0;
    for (const auto& [k, cells] : serving)
      if (holds(range, k) && worker.contains(k)) count += print(cells, false) != print(worker[k], false);
    return count;
  }
  std::vector<RowPair> read(const KeyRange& range) override {
    std::vector<Key> keys;
    for (const auto* table : {&serving, &worker})
      for (const auto& [k, cells] : *table)
        if (holds(range, k)) keys.push_back(k);
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    return read(keys);
  }
  std::vector<RowPair> read(std::span<const Key> keys) override {
    std::vector<RowPair> pairs;
    for (const Key& k : keys) pairs.push_back({k, row(serving, k), row(worker, k)});
    read_rows += pairs.size();
    return pairs;
  }
  Marks marks() override {
    before_marks();
    return at;
  }

 private:
  static bool holds(const KeyRange& range, const Key& k) {
    return (!range.after || k > *range.after) && (!range.up_to || k <= *range.up_to);
  }
  static std::uint64_t print(const Cells& cells, bool coarse) {
    std::string text = cells.score.value_or("null");
    if (coarse && cells.score) text = std::to_string(std::floor(std::stod(text) / 0.01 + 0.5));
    return std::hash<std::string>{}(text + "|" + cells.name.value_or("null"));
  }
  Block hash(const std::map<Key, Cells>& table, const KeyRange& range) {
    Block block;
    for (const auto& [k, cells] : table) {
      if (!holds(range, k)) continue;
      ++hashed;
      ++block.rows;
      ++block.strata["all"];
      block.exact += print(cells, false) * (1 + std::hash<std::string>{}(k[0]));
      block.coarse += print(cells, true) * (1 + std::hash<std::string>{}(k[0]));
    }
    return block;
  }
  static std::optional<Row> row(const std::map<Key, Cells>& table, const Key& k) {
    const auto found = table.find(k);
    if (found == table.end()) return std::nullopt;
    return Row{{found->second.score, found->second.name}, "S", found->second.sequence, "all"};
  }
};

class MemoryJournal final : public Journal {
 public:
  std::vector<Suspect> spooled;
  std::map<Key, Difference> found;
  int blocks = 0, stop_after = 1'000'000;
  WalkState saved;

  void suspect(const Suspect& s) override { spooled.push_back(s); }
  std::vector<Suspect> suspects(std::uint64_t from, std::size_t limit) override {
    const auto begin = spooled.begin() + static_cast<std::ptrdiff_t>(from);
    return {begin, begin + static_cast<std::ptrdiff_t>(std::min(limit, spooled.size() - from))};
  }
  void difference(const Difference& d) override { found[d.key] = d; }
  bool walked(const WalkState& state) override {
    saved = state;
    return ++blocks < stop_after;
  }
};

struct World {
  Output output = measured();
  TwoTables tables;
  MemoryJournal journal;
  ComparisonOptions options{.block_rows = 512, .leaf_rows = 8};
  IgnoreRules rules;
  WalkState state;

  OutputComparison comparison() { return {output, tables, journal, options}; }
  const Counts& run() {
    OutputComparison compared = comparison();
    CHECK(compared.walk(state));
    CHECK(compared.settle(state, rules, [](milliseconds) { return true; }));
    return state.result.counts;
  }
  std::uint64_t count(Class what) const { return count_of(state.result.counts, what); }
};

}  // namespace

TEST_CASE("equal tables are hashed once and not read", "[parity]") {
  World w;
  w.tables.fill(5'000);
  w.run();
  CHECK(w.count(Class::equal) == 5'000);
  CHECK(w.tables.hashed == 10'000);
  CHECK(w.tables.read_rows == 0);
  CHECK(w.state.result.strata["all"] == 5'000);
  CHECK(w.state.result.serving_rows == 5'000);
}

TEST_CASE("every seeded difference is found and classified, none is invented, few rows are read",
          "[parity]") {
  World w;
  w.tables.fill(20'000);
  std::map<Key, Class> seeded;
  for (int i = 0; i < 37; ++i) {
    const Key key = TwoTables::key(i * 541 + 3);
    switch (i % 4) {
      case 0:
        w.tables.worker.erase(key), seeded[key] = Class::missing;
        break;
      case 1:
        w.tables.serving.erase(key), seeded[key] = Class::extra;
        break;
      case 2:
        w.tables.worker[key].score = "-1", seeded[key] = Class::field_differs;
        break;
      default:
        w.tables.worker[key].name.reset(), seeded[key] = Class::type_differs;
        break;
    }
  }
  w.run();
  REQUIRE(w.journal.found.size() == 37);
  for (const auto& [key, what] : seeded) CHECK(w.journal.found.at(key).what == what);
  CHECK(w.count(Class::equal) == 20'000 - 37);
  CHECK(w.tables.read_rows < 1'500);
  CHECK(w.state.result.strata["all"] == 20'000);
}

TEST_CASE("tolerated rows are counted without being read", "[parity]") {
  World w;
  w.tables.fill(1'000);
  for (int i = 0; i < 100; ++i) w.tables.worker[TwoTables::key(i)].score = std::to_string(i) + ".001";
  w.run();
  CHECK(w.count(Class::tolerated) == 100);
  CHECK(w.count(Class::equal) == 900);
  CHECK(w.tables.read_rows == 0);
  CHECK(w.journal.found.empty());
}

TEST_CASE("what is gone when it is read again was transient, what stays is confirmed", "[parity]") {
  World w;
  w.tables.fill(100);
  w.tables.worker[TwoTables::key(5)].name = "late";
  w.tables.worker[TwoTables::key(6)].name = "wrong";
  OutputComparison compared = w.comparison();
  compared.walk(w.state);
  w.tables.worker[TwoTables::key(5)].name = "name";
  compared.settle(w.state, w.rules, [](milliseconds) { return true; });
  CHECK(w.journal.found.at(TwoTables::key(5)).what == Class::transient);
  CHECK(w.journal.found.at(TwoTables::key(6)).what == Class::field_differs);
}

TEST_CASE("a row of an event that one side has not settled is pending, never missing", "[parity]") {
  World w;
  w.tables.fill(100);
  w.tables.at = {{"S", {10, 20, "worker"}}};
  w.tables.serving[TwoTables::key(3)].sequence = 11;
  w.tables.worker.erase(TwoTables::key(3));
  w.run();
  CHECK(w.journal.found.at(TwoTables::key(3)).what == Class::pending);
  CHECK(w.count(Class::missing) == 0);
  CHECK(w.state.result.compared() == 99);
}

TEST_CASE("what was pending and still differs when both sides are there is confirmed, not pending",
          "[parity]") {
  World w;
  w.tables.fill(100);
  w.tables.at = {{"S", {10, 20, "worker"}}};
  w.tables.serving[TwoTables::key(3)] = {"3", "new", 15};
  w.tables.serving[TwoTables::key(4)] = {"4", "new", 16};
  OutputComparison compared = w.comparison();
  compared.walk(w.state);
  w.tables.worker[TwoTables::key(3)] = {"3", "new", 15};
  w.tables.worker[TwoTables::key(4)] = {"4", "wrong", 16};
  w.tables.at = {{"S", {20, 20, ""}}};
  compared.settle(w.state, w.rules, [](milliseconds) { return true; });
  CHECK(w.journal.found.at(TwoTables::key(3)).what == Class::pending);
  CHECK(w.journal.found.at(TwoTables::key(3)).beyond == "S/10");
  CHECK(w.journal.found.at(TwoTables::key(4)).what == Class::field_differs);
}

TEST_CASE("a deletion that one side has not come to is not called extra", "[parity]") {
  World w;
  w.tables.fill(100);
  w.tables.serving.erase(TwoTables::key(3));  // by an event that the row, gone, cannot name
  w.tables.at = {{"S", {10, 20, "worker"}}};
  w.run();
  CHECK(w.journal.found.at(TwoTables::key(3)).what == Class::pending);
  CHECK(w.count(Class::extra) == 0);
}

TEST_CASE("a row that keeps changing is read again until it rests", "[parity]") {
  World w;
  w.tables.fill(100);
  w.tables.worker[TwoTables::key(3)].name = "a";
  int looks = 0;
  w.tables.before_marks = [&] {
    if (++looks < 5) w.tables.worker[TwoTables::key(3)].name = "a" + std::to_string(looks);
  };
  w.run();
  CHECK(w.journal.found.at(TwoTables::key(3)).what == Class::field_differs);
  World restless;
  restless.tables.fill(100);
  restless.tables.worker[TwoTables::key(3)].name = "a";
  restless.tables.before_marks = [&] { *restless.tables.worker[TwoTables::key(3)].name += "a"; };
  restless.run();
  CHECK(restless.journal.found.at(TwoTables::key(3)).what == Class::pending);
}

TEST_CASE("a walk that was stopped goes on where it was and finds the same", "[parity]") {
  World whole, parts;
  for (World* w : {&whole, &parts}) {
    w->tables.fill(3'000);
    w->tables.worker.erase(TwoTables::key(10));
    w->tables.worker.erase(TwoTables::key(2'900));
  }
  whole.run();
  parts.journal.stop_after = 2;
  CHECK(!parts.comparison().walk(parts.state));
  parts.state = parts.journal.saved;
  parts.journal.stop_after = 1'000'000;
  parts.run();
  CHECK(parts.state.result.counts == whole.state.result.counts);
  CHECK(parts.journal.found.size() == 2);
}

TEST_CASE("given keys are compared alone", "[parity]") {
  World w;
  w.tables.fill(100);
  w.tables.worker.erase(TwoTables::key(3));
  w.tables.worker.erase(TwoTables::key(4));
  const std::vector<Key> keys = {TwoTables::key(2), TwoTables::key(3), {"gone"}};
  OutputComparison compared = w.comparison();
  compared.look(keys, w.state);
  compared.settle(w.state, w.rules, [](milliseconds) { return true; });
  CHECK(w.count(Class::missing) == 1);
  CHECK(w.count(Class::equal) == 1);
  CHECK(w.state.result.serving_rows == 2);
}

TEST_CASE("a column of another type is a difference of its own", "[parity]") {
  World w;
  w.tables.fill(10);
  w.tables.differing_columns = {{"score", "double precision", "text"}};
  w.run();
  CHECK(w.count(Class::type_differs) == 1);
  CHECK(w.journal.found.at({"column score"}).fields[0].worker == Value("text"));
}

TEST_CASE("a settle that was stopped says so", "[parity]") {
  World w;
  w.tables.fill(10);
  w.tables.worker.erase(TwoTables::key(3));
  OutputComparison compared = w.comparison();
  compared.walk(w.state);
  CHECK(!compared.settle(w.state, w.rules, [](milliseconds) { return false; }));
}

}  // namespace cutover::parity
