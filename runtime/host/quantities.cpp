#include "runtime/host/quantities.h"

#include <array>
#include <charconv>
#include <cmath>
#include <span>

namespace cutover {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t amount;
};

// Largest first, as formatting wants it.
constexpr std::array<Unit, 5> kDurations = {
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::array<Unit, 4> kSizes = {
    {{"GiB", 1ULL << 30}, {"MiB", 1ULL << 20}, {"KiB", 1ULL << 10}, {"B", 1}}};

constexpr std::uint64_t kDurationMax = 3'650ULL * 86'400'000;
constexpr std::uint64_t kSizeMax = 1ULL << 40;

std::optional<std::uint64_t> parse(std::string_view text, std::span<const Unit> units, std::uint64_t max) {
  if (text == "0") return 0;
  if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc()) return std::nullopt;
  const std::string_view name(end, static_cast<std::size_t>(text.data() + text.size() - end));
  for (const Unit& unit : units) {
    if (unit.name != name) continue;
    const double total = number * static_cast<double>(unit.amount);
    const double rounded = std::round(total);
    if (rounded > static_cast<double>(max) || std::abs(total - rounded) > 1e-6) return std::nullopt;
    return static_cast<std::uint64_t>(rounded);
  }
  return std::nullopt;
}

std::string format(std::uint64_t amount, std::span<const Unit> units) {
  for (const Unit& unit : units)
    if (amount != 0 && amount % unit.amount == 0)
      return std::to_string(amount / unit.amount) + std::string(unit.name);
  return "0";
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto amount = parse(text, kDurations, kDurationMax);
  if (!amount) return std::nullopt;
  return std::chrono::milliseconds(*amount);
}

std::string format_duration(std::chrono::milliseconds span) {
  return format(static_cast<std::uint64_t>(span.count()), kDurations);
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  return parse(text, kSizes, kSizeMax);
}

std::string format_size(std::uint64_t bytes) {
  return format(bytes, kSizes);
}

}  // namespace cutover
