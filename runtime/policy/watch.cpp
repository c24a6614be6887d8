#include "runtime/policy/watch.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace cutover {
namespace {

using State = Finding::State;

// A part that is counted a moment after the whole can be larger.
double percent(std::uint64_t part, std::uint64_t whole) {
  return part == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(std::max(part, whole));
}

Finding lag(const WatchFacts& f, const WatchLimits& limits) {
  if (!f.drain_seconds) return {"lag", State::unknown, "the broker does not say how much waits"};
  const std::string text =
      fmt::format("{:.1f} s to drain, at most {:g} s", *f.drain_seconds, limits.drain_seconds_max);
  return {"lag", *f.drain_seconds > limits.drain_seconds_max ? State::over : State::ok, text};
}

Finding dead_letters(const WatchFacts& f, const WatchLimits& limits) {
  const double now = percent(f.now.dead_letters, f.now.settled);
  const double before =
      f.before.settled >= limits.settled_min ? percent(f.before.dead_letters, f.before.settled) : 0;
  const double most = std::max(limits.dead_letter_percent_max, limits.growth_max * before);
  const std::string text =
      fmt::format("{} of {} events in ten minutes ({:.3f} %, before {:.3f} %), at most {:.3f} %",
                  f.now.dead_letters, f.now.settled, now, before, most);
  if (f.now.settled < limits.settled_min && f.now.dead_letters == 0)
    return {"dead_letters", State::unknown, text + ": too few to say"};
  return {"dead_letters", now > most ? State::over : State::ok, text};
}

Finding errors(const WatchFacts& f, const WatchLimits& limits) {
  const double now = percent(f.failing, f.now.settled + f.failing);
  const std::string text =
      fmt::format("{} events fail beside {} that were settled ({:.2f} %), at most {:g} %", f.failing,
                  f.now.settled, now, limits.failing_percent_max);
  if (f.now.settled + f.failing < limits.settled_min)
    return {"errors", State::unknown, text + ": too few to say"};
  return {"errors", now > limits.failing_percent_max ? State::over : State::ok, text};
}

double mean_batch(const VitalSigns& signs) {
  return signs.batches == 0 ? 0 : signs.batch_seconds / static_cast<double>(signs.batches);
}

Finding batch_duration(const WatchFacts& f, const WatchLimits& limits) {
  const double now = mean_batch(f.now);
  const double before = mean_batch(f.before);
  const double most = std::max(limits.batch_seconds_max, limits.growth_max * before);
  const std::string text = fmt::format("{:.1f} ms a batch ({} batches), before {:.1f} ms, at most {:.0f} ms", now * 1'000,
                                       f.now.batches, before * 1'000, most * 1'000);
  if (f.now.batches == 0) return {"batch_duration", State::unknown, text + ": none to say"};
  return {"batch_duration", now > most ? State::over : State::ok, text};
}

Finding figure(const WatchedFigure& f) {
  if (!f.now || !f.before) return {f.name, State::unknown, f.what + (f.now ? ": none before the switch" : ": none since the switch")};
  const std::string text = fmt::format("{} {:.2f}, before {:.2f}, may move by {:g}", f.what, *f.now, *f.before, f.change_max);
  return {f.name, std::abs(*f.now - *f.before) > f.change_max ? State::over : State::ok, text};
}

}  // namespace

std::vector<Finding> judge(const WatchFacts& facts, const WatchLimits& limits) {
  std::vector<Finding> all{lag(facts, limits), dead_letters(facts, limits), errors(facts, limits), batch_duration(facts, limits)};
  for (const WatchedFigure& f : facts.figures) all.push_back(figure(f));
  return all;
}

std::string over_limit(const std::vector<Finding>& findings) {
  std::string all;
  for (const Finding& finding : findings)
    if (finding.state == State::over) all += (all.empty() ? "" : "; ") + finding.name + ": " + finding.text;
  return all;
}

}  // namespace cutover
