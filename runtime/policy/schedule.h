#pragma once

#include <cstdint>
#include <string_view>

#include "runtime/contract/clock.h"

namespace cutover {

// The times of a cron line, in UTC: minute, hour, day of month, month, day of week. Each field is a list of
// `*`, a value or a range, ranges and `*` with an optional step: `0,30`, `9-17`, `*/5`, `10-50/20`. Months
// and days of the week also by their first three letters, in any case; Sunday is 0 or 7. As in Vixie cron, a
// day is right by day of month or by day of week when neither field begins with `*`, otherwise it must be
// right by both.
class CronTimes {
 public:
  // Throws std::invalid_argument with the line, the field and what is wrong with it, also when no day ever
  // matches.
  explicit CronTimes(std::string_view line);

  // The first time strictly after `at`; whole minutes.
  Instant next_after(Instant at) const;
  // Whether the minute of `at` is one of the times.
  bool matches(Instant at) const;

 private:
  bool matches_day(std::chrono::year_month_day date) const;

  // Bit n: value n is one of them.
  std::uint64_t minutes_;
  std::uint64_t hours_;
  std::uint64_t days_;
  std::uint64_t months_;
  std::uint64_t weekdays_;  // 0 to 6
  bool either_day_;         // by day of month or by day of week
};

}  // namespace cutover
