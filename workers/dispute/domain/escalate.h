#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "workers/dispute/domain/case.h"

namespace cutover::dispute {

// Why a case is more urgent than its lane says. Each counts once.
enum class Reason { earlier_case, evidence, first_response, verified_business };

// A set of reasons.
class Reasons {
 public:
  // Returns false when it was there.
  bool add(Reason reason) noexcept;
  bool has(Reason reason) const noexcept;
  int count() const noexcept;
  // Sorted by name.
  std::vector<std::string_view> names() const;
  // Unknown names are left out.
  static Reasons named(const std::vector<std::string_view>& names) noexcept;
  bool operator==(const Reasons&) const = default;

 private:
  std::uint8_t bits_ = 0;
};

std::string_view name_of(Reason reason) noexcept;

// One lane up for each reason, never above P0.
Lane escalate(Lane base, const Reasons& reasons) noexcept;

// How long after its opening a case may wait for its first response.
std::chrono::minutes first_response_limit(Lane lane) noexcept;

// When the lane of a case changes at a moment: the sooner of the old limit and that of the new lane from then
// on.
Instant first_response_due(Instant due, Lane lane, Instant at) noexcept;

// Whether the earlier of two cases of one principal escalates the later one. By (opened_at, case_id).
struct Opening {
  Instant opened_at;
  std::int64_t case_id = 0;
};
bool escalates(const Opening& earlier, const Opening& later) noexcept;

// Before this much time has passed, another case of the same principal escalates.
inline constexpr std::chrono::hours kRepeatWindow{24};

}  // namespace cutover::dispute
