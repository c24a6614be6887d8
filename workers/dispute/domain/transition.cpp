#include "workers/dispute/domain/transition.h"

#include <algorithm>
#include <array>
#include <deque>
#include <iterator>
#include <utility>

namespace cutover::dispute {
namespace {

using enum Ownership;

constexpr std::pair<Ownership, Ownership> kAllowed[] = {
    {unclaimed, claim_pending},    {claim_pending, verified_active},
    {claim_pending, revoked},      {verified_active, challenged},
    {verified_active, revoked},    {challenged, limited},
    {challenged, verified_active}, {limited, disputed},
    {limited, verified_active},    {disputed, transferred},
    {disputed, recovered},         {disputed, revoked},
    {transferred, challenged},     {recovered, verified_active},
    {revoked, claim_pending}};
static_assert(std::size(kAllowed) == 15);

constexpr std::string_view kNames[kOwnershipStates] = {"unclaimed",   "claim_pending", "verified_active",
                                                       "challenged",  "limited",       "disputed",
                                                       "transferred", "recovered",     "revoked"};

}  // namespace

bool transition(Ownership from, Ownership to) noexcept {
  return std::find(std::begin(kAllowed), std::end(kAllowed), std::pair(from, to)) != std::end(kAllowed);
}

std::vector<Ownership> path(Ownership from, Ownership to) {
  std::array<int, kOwnershipStates> came_from;
  came_from.fill(-1);
  std::deque<Ownership> open = {from};
  while (!open.empty() && open.front() != to) {
    const Ownership at = open.front();
    open.pop_front();
    for (const auto& [source, target] : kAllowed) {
      if (source != at || target == from || came_from[static_cast<int>(target)] >= 0) continue;
      came_from[static_cast<int>(target)] = static_cast<int>(at);
      open.push_back(target);
    }
  }
  std::vector<Ownership> steps;
  if (open.empty()) return steps;
  for (int at = static_cast<int>(to); at != static_cast<int>(from); at = came_from[at])
    steps.push_back(static_cast<Ownership>(at));
  std::reverse(steps.begin(), steps.end());
  return steps;
}

std::string_view name_of(Ownership state) noexcept {
  return kNames[static_cast<int>(state)];
}

std::optional<Ownership> ownership_named(std::string_view name) noexcept {
  const auto* found = std::find(std::begin(kNames), std::end(kNames), name);
  if (found == std::end(kNames)) return std::nullopt;
  return static_cast<Ownership>(found - kNames);
}

}  // namespace cutover::dispute
