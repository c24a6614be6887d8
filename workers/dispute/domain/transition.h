#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace cutover::dispute {

// Who has a channel, as the monolith's table says.
enum class Ownership {
  unclaimed,
  claim_pending,
  verified_active,
  challenged,
  limited,
  disputed,
  transferred,
  recovered,
  revoked,
};
inline constexpr int kOwnershipStates = 9;

// Refusal of every pair that is not allowed.
inline constexpr std::string_view kInvalidTransition = "OWNERSHIP_INVALID_TRANSITION";

// Whether a channel may go from one state to another in one step.
bool transition(Ownership from, Ownership to) noexcept;

// The shortest way of allowed steps, without `from`; empty when it is there already, and to `unclaimed`, to
// which nothing leads back.
std::vector<Ownership> path(Ownership from, Ownership to);

std::string_view name_of(Ownership state) noexcept;
std::optional<Ownership> ownership_named(std::string_view name) noexcept;

}  // namespace cutover::dispute
