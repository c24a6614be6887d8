#include "runtime/parity/ignore_rules.h"

#include <algorithm>

#include <fmt/format.h>

namespace cutover::parity {

IgnoreRules::IgnoreRules(const std::vector<IgnoreRule>& rules, const std::string& output,
                         const std::string& today) {
  for (const IgnoreRule& rule : rules)
    if (rule.output == output) uses_.push_back({rule, today > rule.expires, 0});
}

void IgnoreRules::apply(Compared& row, bool counted) {
  if (row.fields.empty()) return;
  std::erase_if(row.fields, [&](const FieldDifference& difference) {
    for (IgnoreUse& use : uses_) {
      if (use.expired || use.rule.field != difference.field) continue;
      if (counted) ++use.hidden;
      return true;
    }
    return false;
  });
  if (row.fields.empty()) {
    row.what = Class::ignored;
    return;
  }
  const bool value = std::any_of(row.fields.begin(), row.fields.end(),
                                 [](const FieldDifference& d) { return d.what == Class::field_differs; });
  row.what = value ? Class::field_differs : Class::type_differs;
}

std::string failure_of(const IgnoreUse& use, std::uint64_t compared_rows) {
  const std::string rule =
      fmt::format("the rule of {} that ignores {} of {}", use.rule.owner, use.rule.field, use.rule.output);
  if (use.expired) return fmt::format("{} expired on {}", rule, use.rule.expires);
  const double rate =
      compared_rows == 0 ? 0 : static_cast<double>(use.hidden) / static_cast<double>(compared_rows);
  if (rate <= use.rule.rate_max) return {};
  return fmt::format("{} hid {} of {} rows, {:.4g} where {:.4g} is its highest rate", rule, use.hidden,
                     compared_rows, rate, use.rule.rate_max);
}

}  // namespace cutover::parity
