#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace cutover {

struct LaneRank {
  int priority = 5;                           // 0 first, 9 last
  std::chrono::milliseconds max_wait{5'000};  // served at least this often while events wait
};

// Decides which lane's batch is next: the highest priority that has events waiting, among equals the one that
// was served longest ago.
//
// Starvation guard: a lane whose events wait gets at least `least_percent` of the batches, and a batch before
// `max_wait` passes (it is due at nine tenths of it; batches are taken to be short against the last tenth).
// The guard never takes two batches in a row from a higher lane: an event of the highest waiting lane waits
// for one lower batch at most, the one that runs. So the guard holds for up to 50 / least_percent lanes.
//
// Deterministic; one thread.
class LaneChoice {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // Throws std::invalid_argument for a priority outside 0..9, a max_wait of 0 or less, a share outside 0..50.
  explicit LaneChoice(std::vector<LaneRank> lanes, int least_percent = 5);

  // waiting  events that are here, per lane
  // returns  the lane to serve, which counts as served from now; nothing when no event waits
  std::optional<std::size_t> next(std::span<const std::size_t> waiting, Time now);

 private:
  struct Lane {
    LaneRank rank;
    bool waits = false;
    Time waits_since{};           // since its events arrived or its last batch began
    int owed_percent = 0;         // 100: one batch is owed
    std::uint64_t served_at = 0;  // number of its last batch
  };

  std::size_t highest() const;
  std::optional<std::size_t> neglected(int above_priority, Time now) const;

  std::vector<Lane> lanes_;
  int least_percent_;
  std::uint64_t batches_ = 0;
  int last_priority_ = 0;
};

}  // namespace cutover
