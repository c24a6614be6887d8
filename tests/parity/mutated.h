#pragma once

#include <cstdlib>
#include <string_view>

// Whether this run has a rule changed: PARITY_MUTATIONS names those that it has, with commas. Only the copies of the
// workers' sources that `mutate` makes ask; they are linked into cutover_mutated and nothing else.
inline bool mutated(std::string_view name) noexcept {
  static const char* const kNames = std::getenv("PARITY_MUTATIONS");
  std::string_view rest = kNames == nullptr ? "" : kNames;
  while (!rest.empty()) {
    const std::size_t end = rest.find(',');
    if (rest.substr(0, end) == name) return true;
    rest = end == std::string_view::npos ? "" : rest.substr(end + 1);
  }
  return false;
}
