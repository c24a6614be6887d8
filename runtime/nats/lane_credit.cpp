#include "runtime/nats/lane_credit.h"

#include <algorithm>

namespace cutover {
namespace {

constexpr std::size_t kPullsOpen = 4;             // parts that the prefetch is asked for in
constexpr std::size_t kSmallestPull = 16 * 1024;  // bytes

}  // namespace

LaneCredit::LaneCredit(std::size_t prefetch, std::size_t bytes, std::chrono::milliseconds lifetime)
    : prefetch_(std::max<std::size_t>(1, prefetch)), bytes_(bytes), lifetime_(lifetime) {}

// Messages that fit beside what is asked for and held.
std::size_t LaneCredit::room() const {
  std::size_t taken = outstanding_ + held();
  if (taken == 0) return prefetch_;
  std::size_t by_count = prefetch_ > taken ? prefetch_ - taken : 0;
  double bytes_left = static_cast<double>(bytes_) - static_cast<double>(held_bytes_) -
                      static_cast<double>(outstanding_) * mean_size_;
  double by_bytes = std::max(0.0, bytes_left / mean_size_);
  return by_bytes < static_cast<double>(by_count) ? static_cast<std::size_t>(by_bytes) : by_count;
}

std::optional<Pull> LaneCredit::next(Deadline now) {
  Pull pull;
  if (large_ahead_) {
    // Alone and without a limit: at most this one message exceeds the budget.
    if (outstanding_ > 0 || held() >= prefetch_) return std::nullopt;
    pull.batch = 1;
  } else {
    double fitting = std::min(static_cast<double>(prefetch_), static_cast<double>(bytes_) / mean_size_);
    std::size_t part = std::max<std::size_t>(1, static_cast<std::size_t>(fitting) / kPullsOpen);
    std::size_t free = room();
    // Small pulls only while nothing else is asked for: otherwise a trickle of releases makes one pull each.
    if (free == 0 || (free < part && outstanding_ > 0)) return std::nullopt;
    pull.batch = std::min(free, part);
    pull.bytes_max = std::max(kSmallestPull, bytes_ / (kPullsOpen - 1));
  }
  pull.number = ++last_;
  outstanding_ += pull.batch;
  open_sum_ += pull.batch;
  open_.push_back({pull.number, pull.batch, now + lifetime_});
  return pull;
}

void LaneCredit::arrived(std::size_t bytes) {
  if (outstanding_ > 0) --outstanding_;
  if (outstanding_ == 0) {
    open_.clear();
    open_sum_ = 0;
  }
  sizes_.push_back(static_cast<std::uint32_t>(bytes));
  held_bytes_ += bytes;
  double size = static_cast<double>(bytes);
  mean_size_ += (size - mean_size_) * (size > mean_size_ ? 0.25 : 0.01);  // believes in growth sooner
  large_ahead_ = false;
}

void LaneCredit::released(std::size_t count) {
  for (count = std::min(count, sizes_.size()); count > 0; --count) {
    held_bytes_ -= sizes_.front();
    sizes_.pop_front();
  }
}

void LaneCredit::closed(std::uint64_t number, std::optional<std::uint64_t> pending) {
  if (!knows(number)) return;
  auto pull = std::find_if(open_.begin(), open_.end(), [&](const Open& o) { return o.number == number; });
  if (pull == open_.end()) return;
  if (pending)
    outstanding_ -= std::min<std::size_t>(outstanding_, std::min<std::size_t>(*pending, pull->batch));
  open_sum_ -= pull->batch;
  open_.erase(pull);
  cap();
}

void LaneCredit::too_large(std::uint64_t number, std::optional<std::uint64_t> pending) {
  if (!knows(number)) return;
  auto pull = std::find_if(open_.begin(), open_.end(), [&](const Open& o) { return o.number == number; });
  // A pull that delivered nothing had its whole limit left.
  if (pull != open_.end() && pending.value_or(pull->batch) >= pull->batch) large_ahead_ = true;
  closed(number, pending);
}

void LaneCredit::expire(Deadline now) {
  while (!open_.empty() && open_.front().over <= now) {
    open_sum_ -= open_.front().batch;
    open_.pop_front();
  }
  cap();
}

void LaneCredit::forget_pulls() {
  forgotten_ = last_;
  outstanding_ = open_sum_ = 0;
  open_.clear();
}

void LaneCredit::cap() {
  outstanding_ = std::min(outstanding_, open_sum_);
}

}  // namespace cutover
