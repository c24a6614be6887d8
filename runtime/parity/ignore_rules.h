#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/contract/clock.h"
#include "runtime/parity/comparison.h"

namespace cutover::parity {

// A difference that somebody answers for, until a day and up to a rate.
struct IgnoreRule {
  std::string output;  // search documents
  std::string field;
  std::string owner;  // who answers for it
  std::string reason;
  std::string expires;  // 2026-12-31: the last day on which it holds, UTC
  double rate_max = 0;  // of the compared rows, at most this share may be hidden
};

// A rule and what it hid.
struct IgnoreUse {
  IgnoreRule rule;
  bool expired = false;
  std::uint64_t hidden = 0;  // rows of which it hid a field
};

// The rules of one output, counting what they hide.
class IgnoreRules {
 public:
  IgnoreRules() = default;
  // today  2026-11-21
  IgnoreRules(const std::vector<IgnoreRule>& rules, const std::string& output, const std::string& today);

  // Takes hidden fields out of a row; a row that has none left is `ignored`. An expired rule hides nothing.
  // Counts it when `counted`.
  void apply(Compared& row, bool counted = true);
  const std::vector<IgnoreUse>& uses() const { return uses_; }

 private:
  std::vector<IgnoreUse> uses_;
};

// Why a rule fails the comparison: it is expired, or hid more than its rate. Empty: it does not.
std::string failure_of(const IgnoreUse& use, std::uint64_t compared_rows);

}  // namespace cutover::parity
