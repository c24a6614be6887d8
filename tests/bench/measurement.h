#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace cutover::bench {

// Wall time in microseconds since 1970, the unit of `published_us`.
std::int64_t wall_us();

// What a measured program says about itself: one JSON line. Any thread may call any function.
class Measurement {
 public:
  // latency_skip  the first so many events do not count for the latency: connections and caches are still
  // cold
  explicit Measurement(std::string kind, std::size_t latency_skip = 0);

  // The clock of time and CPU starts with the first call; the others cost one load.
  void fetched();
  // A transaction has just committed (or, without a database, a batch was acknowledged).
  //   events        deliveries that it settled
  //   published_us  when they were published; may be empty, or hold fewer
  void committed(std::size_t events, std::span<const std::int64_t> published_us);

  std::uint64_t events() const { return events_.load(); }

  // {"kind","events","transactions","seconds","rate","cpu_s","rss_mib","first_us","last_us",
  //  "latency_ms":{"p50","p99"}}
  //   seconds, cpu_s  from the first message to the last commit; CPU is user and system of the whole process
  //   rss_mib         peak of the whole process
  //   latency_ms      from publish to commit, in steps of 0.01 ms, at most 1,000 ms; null without any
  std::string json() const;

 private:
  const std::string kind_;
  const std::size_t latency_skip_;
  std::atomic<bool> started_{false};
  std::atomic<std::uint64_t> events_{0};

  mutable std::mutex mutex_;  // guards all below
  std::int64_t first_us_ = 0;
  std::int64_t last_us_ = 0;
  double cpu_at_first_ = 0;
  double cpu_at_last_ = 0;
  std::uint64_t transactions_ = 0;
  std::vector<std::uint32_t> latencies_;  // how many, by kLatencyStep: memory must not grow with the backlog
};

}  // namespace cutover::bench
