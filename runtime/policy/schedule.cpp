#include "runtime/policy/schedule.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>

#include <fmt/format.h>

namespace cutover {
namespace {

using namespace std::chrono;

constexpr std::array<std::string_view, 12> kMonths{"jan", "feb", "mar", "apr", "may", "jun",
                                                   "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kWeekdays{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct Field {
  std::string_view title;
  int least;
  int most;
  std::span<const std::string_view> names;  // of `least` and up
};
constexpr std::array<Field, 5> kFields{{{"minute", 0, 59, {}},
                                        {"hour", 0, 23, {}},
                                        {"day of month", 1, 31, {}},
                                        {"month", 1, 12, kMonths},
                                        {"day of week", 0, 7, kWeekdays}}};

// The rarest line, `0 0 29 2 */7`, can skip 40 years; a line that finds nothing for this long never will.
constexpr days kSearched{366 * 100};

constexpr std::uint64_t bit(int value) {
  return std::uint64_t{1} << value;
}
constexpr std::uint64_t bit(unsigned value) {
  return std::uint64_t{1} << value;
}

// Splits off the part before `separator`, all of it if there is none.
std::string_view take_until(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

bool same_letters(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

// Reads one field of a line; what is wrong with it is thrown.
class FieldReader {
 public:
  FieldReader(std::string_view line, const Field& field) : line_(line), field_(field) {}

  std::uint64_t read(std::string_view text) const {
    std::uint64_t bits = 0;
    std::string_view rest = text;
    do bits |= item(take_until(rest, ','));
    while (!rest.empty());
    if (text.ends_with(',')) refuse("ends with a comma");
    return bits;
  }

 private:
  [[noreturn]] void refuse(std::string what) const {
    throw std::invalid_argument(fmt::format("cron line \"{}\": {}: {}", line_, field_.title, what));
  }

  std::uint64_t item(std::string_view text) const {
    const std::string_view whole = text;
    const bool has_step = text.find('/') != std::string_view::npos;
    std::string_view range = take_until(text, '/');
    const std::string_view step_text = text;
    const bool is_range = range.find('-') != std::string_view::npos;
    int first = field_.least, last = field_.most, step = 1;
    if (range != "*") {
      first = value(take_until(range, '-'));
      last = is_range ? value(range) : first;
      if (last < first) refuse(fmt::format("range {} ends before it begins", whole));
      if (has_step && !is_range) refuse(fmt::format("{}: a step needs a range or *", whole));
    } else if (field_.most == 7) {
      last = 6;  // or a step would reach Sunday twice
    }
    if (has_step) step = number(step_text, 1, field_.most, "step");
    std::uint64_t bits = 0;
    for (int i = first; i <= last; i += step) bits |= bit(i);
    return bits;
  }

  int value(std::string_view text) const {
    for (std::size_t i = 0; i < field_.names.size(); ++i)
      if (same_letters(text, field_.names[i])) return field_.least + static_cast<int>(i);
    return number(text, field_.least, field_.most, "value");
  }

  int number(std::string_view text, int least, int most, const char* kind) const {
    int result = 0;
    const char* const end = text.data() + text.size();
    const bool digits =
        !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
    const auto parsed = std::from_chars(text.data(), end, result);
    if (!digits || parsed.ec != std::errc{} || result < least || result > most)
      refuse(fmt::format("{} \"{}\" is not one of {} to {}", kind, text, least, most));
    return result;
  }

  std::string_view line_;
  const Field& field_;
};

std::array<std::string_view, 5> split(std::string_view line) {
  constexpr std::string_view kBlank = " \t";
  std::array<std::string_view, 5> fields;
  std::size_t count = 0;
  for (std::size_t at = line.find_first_not_of(kBlank); at != std::string_view::npos;) {
    const std::size_t end = std::min(line.find_first_of(kBlank, at), line.size());
    if (count < 5) fields[count] = line.substr(at, end - at);
    ++count;
    at = line.find_first_not_of(kBlank, end);
  }
  if (count != 5)
    throw std::invalid_argument(fmt::format(
        "cron line \"{}\" has {} fields; it needs 5: minute, hour, day of month, month, day of week", line,
        count));
  return fields;
}

}  // namespace

CronTimes::CronTimes(std::string_view line) {
  const auto fields = split(line);
  const auto read = [&](std::size_t i) { return FieldReader(line, kFields[i]).read(fields[i]); };
  minutes_ = read(0);
  hours_ = read(1);
  days_ = read(2);
  months_ = read(3);
  weekdays_ = read(4);
  if (weekdays_ & bit(7)) weekdays_ = (weekdays_ & ~bit(7)) | bit(0);
  either_day_ = !fields[2].starts_with('*') && !fields[4].starts_with('*');
  if (next_after(Instant{}) == Instant::max())
    throw std::invalid_argument(
        fmt::format("cron line \"{}\": day of month: no such day in these months", line));
}

bool CronTimes::matches_day(year_month_day date) const {
  const bool by_date = days_ & bit(static_cast<unsigned>(date.day()));
  const bool by_weekday = weekdays_ & bit(weekday{sys_days{date}}.c_encoding());
  return either_day_ ? by_date || by_weekday : by_date && by_weekday;
}

bool CronTimes::matches(Instant at) const {
  const auto day = floor<days>(at);
  const year_month_day date{day};
  const auto minute = static_cast<unsigned>(floor<minutes>(at - day).count());
  return (months_ & bit(static_cast<unsigned>(date.month()))) && matches_day(date) &&
         (hours_ & bit(minute / 60)) && (minutes_ & bit(minute % 60));
}

Instant CronTimes::next_after(Instant at) const {
  const auto first_day = floor<days>(at);
  auto from =
      static_cast<int>(floor<minutes>(at - first_day).count()) + 1;  // minute of the day to begin with
  for (auto day = first_day; day < first_day + kSearched; from = 0) {
    const year_month_day date{day};
    if (!(months_ & bit(static_cast<unsigned>(date.month())))) {
      day = sys_days{(date.year() / date.month() + months{1}) / 1};
      continue;
    }
    if (matches_day(date)) {
      for (int hour = from / 60; hour < 24; ++hour) {
        const int first_minute = hour == from / 60 ? from % 60 : 0;
        const std::uint64_t left = hours_ & bit(hour) ? minutes_ >> first_minute : 0;
        if (left) return Instant{day} + hours{hour} + minutes{first_minute + std::countr_zero(left)};
      }
    }
    day += days{1};
  }
  return Instant::max();
}

}  // namespace cutover
