#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

namespace cutover::dispute {

using Instant = std::chrono::sys_time<std::chrono::microseconds>;

enum class CaseType { c1, c2, c3, c4, c5, c6 };
enum class Severity { l1, l2, l3 };
enum class Lane { p0, p1, p2, p3 };

// C1: two principals claim one channel. The one who opened the case is the challenger.
struct ChannelClaim {
  bool incumbent_otp = false;
  bool challenger_otp = false;
  std::int64_t incumbent_device_days = 0;
  std::int64_t challenger_device_days = 0;
};
// C2: the carrier gave a phone number to somebody else.
struct RecycledNumber {
  bool otp = false;
  std::int64_t old_owner_inactive_days = 0;
  Instant claimed_at;
  bool old_owner_disputed = false;
};
// C3: two people were merged into one.
struct WrongMerge {
  bool auto_applied = false;
  bool requester_confirmed_merge = false;
};
// C4: impersonation.
struct Impersonation {
  bool exact_match = false;
  bool reporter_is_target = false;
  bool target_is_user = false;
  bool reporter_insists = false;
  double similarity = 0;  // 0..1
};
// C5: who speaks for a business.
struct BusinessAuthority {
  std::int64_t challenger_level = 0;  // 0..3
  std::int64_t incumbent_level = 0;   // 0..3
  std::int64_t employees = 0;
};
// C6: a trust dispute after abuse signals.
struct TrustDispute {
  double signal_ratio = 0;
  std::int64_t unique_reports_24h = 0;
  double trust_delta = 0;
};

// The alternative says the type of the case.
using Evidence =
    std::variant<ChannelClaim, RecycledNumber, WrongMerge, Impersonation, BusinessAuthority, TrustDispute>;

inline CaseType type_of(const Evidence& evidence) {
  return static_cast<CaseType>(evidence.index());
}

inline std::string_view name_of(CaseType type) {
  static constexpr std::string_view kNames[] = {"C1", "C2", "C3", "C4", "C5", "C6"};
  return kNames[static_cast<int>(type)];
}
inline std::string_view name_of(Severity severity) {
  static constexpr std::string_view kNames[] = {"L1", "L2", "L3"};
  return kNames[static_cast<int>(severity)];
}

}  // namespace cutover::dispute
