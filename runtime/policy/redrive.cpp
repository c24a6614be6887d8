#include "runtime/policy/redrive.h"

#include <algorithm>

#include <fmt/format.h>

namespace cutover {
namespace {

constexpr std::uint64_t kCanaries[] = {1, 11, 111};  // taken when each of the first steps is complete

std::string trouble(const RedriveFacts& f, const RedriveLimits& limits) {
  const double failing =
      f.settled == 0 ? 0 : 100.0 * static_cast<double>(f.failed) / static_cast<double>(f.settled);
  if (failing > limits.failing_percent_max)
    return fmt::format("{} of {} failed again: {:.1f} %, at most {:g} %", f.failed, f.settled, failing,
                       limits.failing_percent_max);
  if (f.latency_before_ms && f.latency_now_ms) {
    const double growth = *f.latency_now_ms - *f.latency_before_ms;
    if (growth > limits.latency_growth_ms &&
        growth > *f.latency_before_ms * limits.latency_growth_percent / 100)
      return fmt::format("the live lanes suffer: 99 % of their events took {:.0f} ms, and {:.0f} ms before",
                         *f.latency_now_ms, *f.latency_before_ms);
  }
  return {};
}

}  // namespace

RedriveStep next_step(const RedriveFacts& f, const RedriveLimits& limits) {
  if (f.waiting == 0)  // nothing is left that a stop could hold back
    return {f.in_flight == 0 ? RedriveStep::Kind::finished : RedriveStep::Kind::wait, 0, {}};
  if (std::string because = trouble(f, limits); !because.empty())
    return {RedriveStep::Kind::stop, 0, std::move(because)};
  for (const std::uint64_t canary : kCanaries) {
    if (f.taken >= canary) continue;
    // A step that was cut off is completed first; each is awaited before the next.
    const bool begun =
        std::find(std::begin(kCanaries), std::end(kCanaries), f.taken) == std::end(kCanaries) && f.taken != 0;
    if (f.in_flight > 0 && !begun) return {};
    return {RedriveStep::Kind::send, std::min(canary - f.taken, f.waiting), {}};
  }
  if (f.taken == kCanaries[2] && f.in_flight > 0) return {};
  // So much ahead that the worker's own cap decides, and no more: what is in flight cannot be stopped.
  const std::uint64_t ahead = 2 * limits.rate;
  if (f.in_flight >= ahead) return {};
  return {RedriveStep::Kind::send, std::min({ahead - f.in_flight, limits.rate, f.waiting}), {}};
}

}  // namespace cutover
