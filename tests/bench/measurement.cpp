#include "tests/bench/measurement.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <numeric>

#include <nlohmann/json.hpp>

namespace cutover::bench {
namespace {

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

// Not ru_maxrss: that one survives exec and so includes the parent's copy before it.
double peak_rss_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != "VmHWM:") continue;
    double kib = 0;
    status >> kib;
    return kib / 1024;
  }
  return 0;
}

// Latencies are counted in steps; the last count holds everything above.
constexpr std::int64_t kLatencyStepUs = 10;
constexpr std::size_t kLatencySteps = 100'001;

double quantile_ms(const std::vector<std::uint32_t>& counts, std::uint64_t total, double q) {
  const auto wanted = static_cast<std::uint64_t>(static_cast<double>(total) * q);
  std::uint64_t seen = 0;
  std::size_t step = 0;
  while (step + 1 < counts.size() && seen + counts[step] <= wanted) seen += counts[step++];
  return static_cast<double>(step * kLatencyStepUs) / 1e3;
}

}  // namespace

std::int64_t wall_us() {
  using namespace std::chrono;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

Measurement::Measurement(std::string kind, std::size_t latency_skip)
    : kind_(std::move(kind)), latency_skip_(latency_skip), latencies_(kLatencySteps) {}

void Measurement::fetched() {
  if (started_.load(std::memory_order_relaxed) || started_.exchange(true)) return;
  const std::lock_guard lock(mutex_);
  first_us_ = wall_us();
  cpu_at_first_ = cpu_seconds();
}

void Measurement::committed(std::size_t events, std::span<const std::int64_t> published_us) {
  const std::int64_t now = wall_us();
  const double cpu = cpu_seconds();
  const std::uint64_t before = events_.fetch_add(events);
  const std::lock_guard lock(mutex_);
  last_us_ = std::max(last_us_, now);
  cpu_at_last_ = std::max(cpu_at_last_, cpu);
  ++transactions_;
  if (before < latency_skip_) return;
  for (const std::int64_t published : published_us) {
    const auto step = static_cast<std::size_t>(std::max<std::int64_t>(now - published, 0) / kLatencyStepUs);
    ++latencies_[std::min(step, kLatencySteps - 1)];
  }
}

std::string Measurement::json() const {
  const std::lock_guard lock(mutex_);
  const double seconds = static_cast<double>(last_us_ - first_us_) / 1e6;
  const std::uint64_t measured = std::accumulate(latencies_.begin(), latencies_.end(), std::uint64_t{0});
  nlohmann::ordered_json line{{"kind", kind_},
                              {"events", events()},
                              {"transactions", transactions_},
                              {"seconds", seconds},
                              {"rate", seconds > 0 ? static_cast<double>(events()) / seconds : 0},
                              {"cpu_s", cpu_at_last_ - cpu_at_first_},
                              {"rss_mib", peak_rss_mib()},
                              {"first_us", first_us_},
                              {"last_us", last_us_},
                              {"latency_ms", nullptr}};
  if (measured > 0)
    line["latency_ms"] = {{"p50", quantile_ms(latencies_, measured, 0.50)},
                          {"p99", quantile_ms(latencies_, measured, 0.99)}};
  return line.dump();
}

}  // namespace cutover::bench
