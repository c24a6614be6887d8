#include "fault/flip_report.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace cutover::test {
namespace {

using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr std::array kLimits = {2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1'000.0, 1e12};

double quantile(std::vector<double>& values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1,
                         static_cast<std::size_t>(q * static_cast<double>(values.size())))];
}

enum class Phase { before, during, after, other };

Phase phase_of(const std::vector<TwoSides::Flip>& flips, const SentEvent& sent, const Applied& applied,
               std::chrono::milliseconds around) {
  Phase phase = Phase::other;
  for (const TwoSides::Flip& flip : flips) {
    if (sent.at <= flip.ended && applied.committed >= flip.began) return Phase::during;
    if (applied.committed < flip.began && sent.at >= flip.began - around) phase = Phase::before;
    if (sent.at > flip.ended && sent.at <= flip.ended + around && phase == Phase::other) phase = Phase::after;
  }
  return phase;
}

void print_line(std::ostream& out, const char* name, std::vector<double> values) {
  if (values.empty()) return;
  std::array<std::size_t, kLimits.size()> counts{};
  for (const double value : values)
    ++counts[static_cast<std::size_t>(std::lower_bound(kLimits.begin(), kLimits.end(), value) -
                                      kLimits.begin())];
  out << fmt::format("  {:<16}{:>8}", name, values.size());
  for (const std::size_t count : counts)
    out << fmt::format("{:>8.1f}", 100.0 * static_cast<double>(count) / static_cast<double>(values.size()));
  out << fmt::format("{:>10.1f}{:>10.1f}\n", quantile(values, 0.5), quantile(values, 0.99));
}

}  // namespace

void print_durations(std::ostream& out, const std::string& what, const std::vector<TwoSides::Flip>& flips) {
  std::vector<double> times, held;
  for (const TwoSides::Flip& flip : flips) {
    times.push_back(Milliseconds(flip.took()).count());
    held.push_back(Milliseconds(flip.held).count());
  }
  if (times.empty()) return;
  const double half = quantile(times, 0.5), most = quantile(times, 0.99), held_most = quantile(held, 0.99);
  out << fmt::format(
      "{}: {} flips, p50 {:.1f} ms, p99 {:.1f} ms, longest {:.1f} ms; of it the lock held: p99 {:.1f} ms\n",
      what, times.size(), half, most, times.back(), held_most);
}

void print_latencies(std::ostream& out, const std::vector<TwoSides::Flip>& flips,
                     const std::vector<SentEvent>& sent, const std::vector<Applied>& applied,
                     std::chrono::milliseconds around) {
  std::array<std::array<std::vector<double>, 3>, 2> times;
  for (const Applied& row : applied) {
    const SentEvent& event = sent[row.sequence - 1];
    const Phase phase = phase_of(flips, event, row, around);
    if (phase != Phase::other)
      times[row.side == "worker"][static_cast<std::size_t>(phase)].push_back(
          Milliseconds(row.committed - event.at).count());
  }
  out << "publish to commit, percent of the events by milliseconds up to\n  "
      << fmt::format("{:<16}{:>8}", "", "events");
  for (const double limit : kLimits)
    out << (limit > 1e6 ? fmt::format("{:>8}", "more") : fmt::format("{:>8.0f}", limit));
  out << fmt::format("{:>10}{:>10}\n", "p50 ms", "p99 ms");
  const char* names[2][3] = {{"monolith before", "monolith during", "monolith after"},
                             {"worker before", "worker during", "worker after"}};
  for (std::size_t side : {0, 1})
    for (std::size_t phase : {0, 1, 2}) print_line(out, names[side][phase], times[side][phase]);
}

}  // namespace cutover::test
