#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/parity/comparison.h"
#include "runtime/parity/ignore_rules.h"
#include "runtime/parity/statistics.h"

namespace cutover::parity {

// What a comparison of one worker found.

using Counts = std::array<std::uint64_t, kClasses>;  // by Class

inline std::uint64_t& count_of(Counts& counts, Class what) {
  return counts[static_cast<std::size_t>(what)];
}
inline std::uint64_t count_of(const Counts& counts, Class what) {
  return counts[static_cast<std::size_t>(what)];
}

// One difference, as diffs.jsonl holds it: a row, or an event that a side gave up on (then key is
// {"CONTACT/42"}).
struct Difference {
  std::string output;
  Key key;
  Class what = Class::field_differs;
  std::vector<FieldDifference> fields;
  RowPair rows;
  std::vector<std::string> places;  // of the events that last wrote the rows: CONTACT/42
  std::string beyond;  // of what is pending: the watermark that a row lay beyond; empty: it never rested
};

struct OutputResult {
  std::string output;
  Counts counts{};
  std::uint64_t serving_rows = 0;
  std::uint64_t worker_rows = 0;
  std::map<std::string, std::uint64_t> strata;  // compared rows of each
  std::vector<IgnoreUse> ignores;
  std::optional<Statistics> statistics;
  std::optional<Matrix> matrix;
  std::optional<Histogram> histogram;

  // Rows that were compared: all but those that are pending.
  std::uint64_t compared() const;
};

// Rows or events that differ in one field, in one way. An empty field: the row as a whole.
struct Group {
  std::string output;
  std::string field;
  Class what = Class::field_differs;
  std::uint64_t count = 0;
  std::vector<std::string> examples;  // keys, at most three
};

enum class Verdict { ok, different, inconclusive };
std::string_view to_text(Verdict verdict) noexcept;

struct Summary {
  std::string id;
  std::string worker;
  std::string against;  // schema
  std::string since;    // empty: everything
  std::string rerun;    // id of the report whose differences were read again; empty: none
  std::string at;       // 2026-11-21T15:00:00Z, when it began
  double seconds = 0;
  std::string build;
  std::string formula;  // empty: the worker has none
  int schema_version = 0;
  Verdict verdict = Verdict::inconclusive;
  std::vector<std::string> reasons;  // for the verdict
  Marks marks;
  std::vector<OutputResult> outputs;
  Counts errors{};  // events that a side gave up on: equal, error_on_one_side, errors_differ
  std::vector<Group> groups;
  std::vector<Difference> worst;  // at most ten

  std::uint64_t samples() const;
  std::uint64_t mismatches() const;
};

}  // namespace cutover::parity
