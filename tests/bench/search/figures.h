#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace cutover::bench {

// Times in milliseconds.
class Figures {
 public:
  void add(double ms) { times_.push_back(ms); }
  void add(const Figures& other) { times_.insert(times_.end(), other.times_.begin(), other.times_.end()); }
  std::size_t count() const { return times_.size(); }
  // share 0..1 of the times are at most this; 0 without any.
  double percentile(double share) const;
  // {"n": 3, "p50": 1.0, "p95": 2.0, "p99": 2.0, "max": 2.0}
  nlohmann::json json() const;
  // n 200  p50 1.0  p95 2.0  p99 2.0  max 2.0 ms
  std::string text() const;

 private:
  std::vector<double> times_;
};

}  // namespace cutover::bench
