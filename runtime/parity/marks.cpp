#include "runtime/parity/marks.h"

#include <algorithm>

#include <fmt/format.h>

namespace cutover::parity {
std::string beyond(const RowPair& pair, const Marks& marks) {
  for (const auto* row : {&pair.serving, &pair.worker}) {
    if (!*row) continue;
    const auto mark = marks.find((*row)->stream);
    if (mark != marks.end() && (*row)->sequence > mark->second.common)
      return fmt::format("{}/{}", mark->first, mark->second.common);
  }
  return {};
}

bool has_reached(const Marks& now, const Marks& then) {
  return std::all_of(then.begin(), then.end(), [&](const auto& mark) {
    const auto found = now.find(mark.first);
    return found != now.end() && found->second.common >= mark.second.highest;
  });
}

std::vector<std::string> standing_still(const Marks& first, const Marks& last) {
  std::vector<std::string> reasons;
  for (const auto& [stream, mark] : last) {
    if (mark.common >= mark.highest) continue;
    const auto before = first.find(stream);
    if (before == first.end() || before->second.common < mark.common) continue;
    if (before->second.common >= before->second.highest) continue;  // nothing waited then
    reasons.push_back(fmt::format(
        "the watermark of stream {} stands at {}: the {} has not settled {}, the other side is at {}", stream,
        mark.common, mark.behind == "serving" ? "monolith" : "worker", mark.common + 1, mark.highest));
  }
  return reasons;
}

}  // namespace cutover::parity
