#pragma once

#include <cstdint>
#include <limits>

namespace cutover::score {

// A point in time or a length of time in microseconds, the resolution of the source; only differences of
// points matter.
using Micros = std::int64_t;

inline constexpr Micros kDay = Micros{86'400} * 1'000'000;

// Time from `x` to `t`; negative where x is later. Saturates: the source knows infinite timestamps.
constexpr Micros age(Micros t, Micros x) noexcept {
  Micros result = 0;
  if (!__builtin_sub_overflow(t, x, &result)) return result;
  return x > t ? std::numeric_limits<Micros>::min() : std::numeric_limits<Micros>::max();
}

// Fractional days; an age below 0 (clock skew) counts as 0.
constexpr double days(Micros length) noexcept {
  return length <= 0 ? 0.0 : static_cast<double>(length) / static_cast<double>(kDay);
}

// Whether x lies in the last `count` days before t: 0 <= t - x < count. What lies in the future does not.
constexpr bool within_days(Micros t, Micros x, double count) noexcept {
  return x <= t && days(age(t, x)) < count;
}

}  // namespace cutover::score
