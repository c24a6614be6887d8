#include "runtime/policy/lane_choice.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

namespace cutover {
namespace {

constexpr int kPriorityMax = 9;
constexpr int kPercentMax = 50;
constexpr int kOneBatch = 100;  // percent

bool is_due(std::chrono::steady_clock::duration waited, std::chrono::milliseconds max_wait) {
  return waited >= max_wait - max_wait / 10;
}

}  // namespace

LaneChoice::LaneChoice(std::vector<LaneRank> lanes, int least_percent) : least_percent_(least_percent) {
  if (least_percent < 0 || least_percent > kPercentMax)
    throw std::invalid_argument("share of a lane is " + std::to_string(least_percent) +
                                " %; it must be 0 to 50 %");
  for (const LaneRank& rank : lanes) {
    if (rank.priority < 0 || rank.priority > kPriorityMax)
      throw std::invalid_argument("priority of a lane is " + std::to_string(rank.priority) +
                                  "; it must be 0 to 9");
    if (rank.max_wait <= std::chrono::milliseconds(0))
      throw std::invalid_argument("max_wait of a lane is " + std::to_string(rank.max_wait.count()) +
                                  " ms; it must be above 0");
    lanes_.push_back({.rank = rank});
  }
}

std::optional<std::size_t> LaneChoice::next(std::span<const std::size_t> waiting, Time now) {
  bool any = false;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    Lane& lane = lanes_[i];
    const bool waits = waiting[i] > 0;
    if (waits && !lane.waits) lane.waits_since = now;
    if (!waits) lane.owed_percent = 0;
    lane.waits = waits;
    any |= waits;
  }
  if (!any) return std::nullopt;

  std::size_t chosen = highest();
  const int priority = lanes_[chosen].rank.priority;
  // Only after a batch of that priority or a higher one: otherwise it has waited for a lower one already.
  if (last_priority_ <= priority) chosen = neglected(priority, now).value_or(chosen);

  for (Lane& lane : lanes_)
    if (lane.waits) lane.owed_percent += least_percent_;
  Lane& served = lanes_[chosen];
  served.owed_percent = std::max(0, served.owed_percent - kOneBatch);
  served.waits_since = now;
  served.served_at = ++batches_;
  last_priority_ = served.rank.priority;
  return chosen;
}

std::size_t LaneChoice::highest() const {
  std::size_t best = lanes_.size();
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    if (!lanes_[i].waits) continue;
    const auto order = [&](std::size_t lane) {
      return std::pair(lanes_[lane].rank.priority, lanes_[lane].served_at);
    };
    if (best == lanes_.size() || order(i) < order(best)) best = i;
  }
  return best;
}

// The lower lane that waits for longest, of those that are due or owed a batch.
std::optional<std::size_t> LaneChoice::neglected(int above_priority, Time now) const {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const Lane& lane = lanes_[i];
    if (!lane.waits || lane.rank.priority <= above_priority) continue;
    if (lane.owed_percent < kOneBatch && !is_due(now - lane.waits_since, lane.rank.max_wait)) continue;
    if (!best || lane.waits_since < lanes_[*best].waits_since) best = i;
  }
  return best;
}

}  // namespace cutover
