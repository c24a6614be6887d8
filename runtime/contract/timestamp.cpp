#include "runtime/contract/timestamp.h"

#include <cstdint>

namespace cutover {
namespace {

constexpr int kBad = -1;

// `count` digits at `at`, kBad when one of them is not a digit.
int digits(std::string_view text, std::size_t at, std::size_t count) noexcept {
  int value = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    const unsigned digit = static_cast<unsigned char>(text[i]) - unsigned{'0'};
    if (digit > 9) return kBad;
    value = value * 10 + static_cast<int>(digit);
  }
  return value;
}

void append_digits(std::string& out, std::uint32_t value, int width) {
  char text[10];
  for (int i = width - 1; i >= 0; --i) {
    text[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
  out.append(text, static_cast<std::size_t>(width));
}

}  // namespace

std::optional<Instant> parse_timestamp(std::string_view text) noexcept {
  using namespace std::chrono;
  if (text.size() < 20) return std::nullopt;
  if (text[4] != '-' || text[7] != '-' || (text[10] | 0x20) != 't' || text[13] != ':' || text[16] != ':')
    return std::nullopt;
  const int y = digits(text, 0, 4), mo = digits(text, 5, 2), d = digits(text, 8, 2);
  const int h = digits(text, 11, 2), mi = digits(text, 14, 2), s = digits(text, 17, 2);
  if (y < 1 || mo < 1 || d < 1 || h < 0 || h > 23 || mi < 0 || mi > 59 || s < 0) return std::nullopt;
  const bool leap_second = h == 23 && mi == 59 && s == 60;
  if (s > 59 && !leap_second) return std::nullopt;
  const year_month_day date{year{y}, month{static_cast<unsigned>(mo)}, day{static_cast<unsigned>(d)}};
  if (!date.ok()) return std::nullopt;

  std::size_t at = 19;
  std::int64_t fraction = 0;
  if (text[at] == '.') {
    const std::size_t first = ++at;
    std::int64_t unit = 100'000;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
      fraction += (text[at] - '0') * unit;
      unit /= 10;
    }
    if (at == first) return std::nullopt;
  }
  const std::string_view zone = text.substr(at);
  if (zone != "Z" && zone != "z" && zone != "+00:00" && zone != "-00:00") return std::nullopt;
  return Instant{sys_days{date}} + hours{h} + minutes{mi} + seconds{s} + microseconds{fraction};
}

void append_timestamp(std::string& out, Instant at) {
  using namespace std::chrono;
  const auto day_start = floor<days>(at);
  const year_month_day date{day_start};
  const auto in_day = static_cast<std::uint64_t>((at - day_start).count());
  const auto seconds_in_day = static_cast<std::uint32_t>(in_day / 1'000'000);
  append_digits(out, static_cast<std::uint32_t>(static_cast<int>(date.year())), 4);
  out += '-';
  append_digits(out, static_cast<unsigned>(date.month()), 2);
  out += '-';
  append_digits(out, static_cast<unsigned>(date.day()), 2);
  out += 'T';
  append_digits(out, seconds_in_day / 3600, 2);
  out += ':';
  append_digits(out, seconds_in_day / 60 % 60, 2);
  out += ':';
  append_digits(out, seconds_in_day % 60, 2);
  out += '.';
  append_digits(out, static_cast<std::uint32_t>(in_day % 1'000'000), 6);
  out += 'Z';
}

}  // namespace cutover
