#include "runtime/policy/retry.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

namespace cutover {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstMax = std::chrono::hours(1);
constexpr milliseconds kDelayMax = std::chrono::hours(24);
constexpr double kFactorMax = 100;
constexpr int kRetriesMax = 100;

void refuse(const char* setting, const std::string& value, const std::string& range) {
  throw std::invalid_argument(fmt::format("retry {} is {}; it must be {}", setting, value, range));
}

void validate(const RetrySettings& settings) {
  if (settings.first < milliseconds(1) || settings.first > kFirstMax)
    refuse("first", fmt::format("{} ms", settings.first.count()),
           fmt::format("1 to {} ms", kFirstMax.count()));
  if (!(settings.factor >= 1 && settings.factor <= kFactorMax))
    refuse("factor", fmt::format("{}", settings.factor), fmt::format("1 to {}", kFactorMax));
  if (settings.retries_max < 0 || settings.retries_max > kRetriesMax)
    refuse("retries_max", fmt::format("{}", settings.retries_max), fmt::format("0 to {}", kRetriesMax));
  if (settings.delay_max < settings.first || settings.delay_max > kDelayMax)
    refuse("delay_max", fmt::format("{} ms", settings.delay_max.count()),
           fmt::format("{} (first) to {} ms", settings.first.count(), kDelayMax.count()));
}

}  // namespace

Retry::Retry(RetrySettings settings, std::function<std::uint64_t()> random)
    : settings_(settings), random_(std::move(random)) {
  validate(settings_);
}

milliseconds Retry::bound_after(int failures) const {
  const double grown =
      static_cast<double>(settings_.first.count()) * std::pow(settings_.factor, failures - 1);
  const auto most = static_cast<double>(settings_.delay_max.count());
  return milliseconds(static_cast<std::int64_t>(std::min(grown, most)));
}

std::optional<milliseconds> Retry::delay_after(int failures) {
  if (failures > settings_.retries_max) return std::nullopt;
  const double unit = static_cast<double>(random_() >> 11) * 0x1p-53;  // [0, 1)
  const auto bound = bound_after(std::max(failures, 1)).count();
  return milliseconds(static_cast<std::int64_t>(unit * static_cast<double>(bound + 1)));
}

}  // namespace cutover
