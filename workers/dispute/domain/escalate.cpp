#include "workers/dispute/domain/escalate.h"

#include <algorithm>
#include <bit>
#include <iterator>

namespace cutover::dispute {
namespace {

constexpr std::string_view kReasons[] = {"earlier_case", "evidence", "first_response", "verified_business"};

std::uint8_t bit(Reason reason) {
  return static_cast<std::uint8_t>(1u << static_cast<int>(reason));
}

}  // namespace

bool Reasons::add(Reason reason) noexcept {
  if (has(reason)) return false;
  bits_ |= bit(reason);
  return true;
}

bool Reasons::has(Reason reason) const noexcept {
  return (bits_ & bit(reason)) != 0;
}

int Reasons::count() const noexcept {
  return std::popcount(bits_);
}

std::vector<std::string_view> Reasons::names() const {
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < std::size(kReasons); ++i)
    if (has(static_cast<Reason>(i))) names.push_back(kReasons[i]);
  return names;
}

Reasons Reasons::named(const std::vector<std::string_view>& names) noexcept {
  Reasons reasons;
  for (const std::string_view name : names) {
    const auto* found = std::find(std::begin(kReasons), std::end(kReasons), name);
    if (found != std::end(kReasons)) reasons.add(static_cast<Reason>(found - kReasons));
  }
  return reasons;
}

std::string_view name_of(Reason reason) noexcept {
  return kReasons[static_cast<int>(reason)];
}

Lane escalate(Lane base, const Reasons& reasons) noexcept {
  return static_cast<Lane>(std::max(0, static_cast<int>(base) - reasons.count()));
}

std::chrono::minutes first_response_limit(Lane lane) noexcept {
  using std::chrono::hours;
  switch (lane) {
    case Lane::p0:
      return std::chrono::minutes(15);
    case Lane::p1:
      return hours(4);
    case Lane::p2:
      return hours(24);
    case Lane::p3:
      break;
  }
  return hours(72);
}

Instant first_response_due(Instant due, Lane lane, Instant at) noexcept {
  return std::min(due, at + first_response_limit(lane));
}

bool escalates(const Opening& earlier, const Opening& later) noexcept {
  const bool before = earlier.opened_at != later.opened_at ? earlier.opened_at < later.opened_at
                                                           : earlier.case_id < later.case_id;
  return before && later.opened_at - earlier.opened_at <= kRepeatWindow;
}

}  // namespace cutover::dispute
