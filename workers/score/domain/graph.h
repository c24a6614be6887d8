#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "workers/score/domain/age.h"
#include "workers/score/domain/weights.h"

namespace cutover::score {

// One contact that is an edge, as the source has it. Owner and target are places among the principals in
// order of their ids.
struct Edge {
  std::uint32_t owner = 0;
  std::uint32_t target = 0;
  double confidence = 0;  // 0..1; whoever adds it has checked that
  Micros first_seen = 0;
  Micros last_evidence = 0;
  bool probable = false;  // state active_probable
  bool in_circle = false;
};

// A recent edge without weight: it is dropped, but takes its place in the ranking of what was added in bulk.
struct AsideEdge {
  std::uint32_t owner = 0;
  std::uint32_t target = 0;
  Micros first_seen = 0;
};

// The ties of all principals in compressed rows, 23 bytes an edge from the first to the last step:
//   add      any thread, in any order; edges of weight 0 are dropped
//   seal     a row at a time: sorts by target, damps what was added in bulk; from here on it has weights
//   oppose   a row at a time, when all rows that it meets are sealed: replaces ages by reciprocal weights
//   condense a row at a time, when all rows that meet it are opposed: keeps reciprocal edges only
// Different rows may be worked on by different threads.
class Graph {
 public:
  // capacity  how many edges each principal can have at most; adding more ends the process
  Graph(const Weights& weights, Micros t, std::span<const std::uint32_t> capacity);

  void add(const Edge& edge, std::vector<AsideEdge>& aside) noexcept;
  void add_lost(std::uint32_t owner) noexcept { lost_[owner].fetch_add(1, std::memory_order_relaxed); }
  // Between adding and sealing: what the threads put aside.
  void set_aside(std::vector<AsideEdge> aside);

  // Returns the mean of the confidences, weighted by w; 0 without edges.
  double seal(std::uint32_t owner);

  // The edges of a sealed row, in order of their targets.
  struct SealedRow {
    std::span<const std::uint32_t> targets;
    std::span<const std::uint64_t> words;
    double damped;
    double base_weight(std::size_t i) const noexcept;
    double weight(std::size_t i) const noexcept;
  };
  SealedRow row(std::uint32_t owner) const noexcept;
  // Up to settled_days, below 0 in the future; before `oppose`.
  Micros first_seen_age(std::uint32_t owner, std::size_t i) const noexcept;
  // w of the edge from `owner` to `target` in a sealed row; 0 without one.
  double weight_to(std::uint32_t owner, std::uint32_t target) const noexcept;

  void oppose(std::uint32_t owner, std::span<const double> reciprocal) noexcept;
  void condense(std::uint32_t owner) noexcept;

  // The reciprocal edges of a condensed row, in order of their targets.
  struct MutualRow {
    std::span<const std::uint32_t> targets;
    std::span<const std::uint64_t> words;
    double weight(std::size_t i) const noexcept;  // above 0
  };
  MutualRow mutual(std::uint32_t owner) const noexcept;

  std::size_t principals() const noexcept { return offsets_.size() - 1; }
  std::uint32_t edges(std::uint32_t owner) const noexcept {
    return counts_[owner].load(std::memory_order_relaxed);
  }
  std::uint32_t in_circles(std::uint32_t owner) const noexcept {
    return circled_[owner].load(std::memory_order_relaxed);
  }
  std::uint32_t lost(std::uint32_t owner) const noexcept {
    return lost_[owner].load(std::memory_order_relaxed);
  }
  std::uint64_t edges() const noexcept;
  const Weights& weights() const noexcept { return weights_; }
  Micros t() const noexcept { return t_; }

 private:
  using Tail = std::uint8_t[3];
  struct Packed;

  void sort_row(std::uint64_t begin, std::uint32_t count);
  void damp_row(std::uint32_t owner, std::uint64_t begin, std::uint32_t count);
  Micros first_age_at(std::uint64_t at) const noexcept;

  Weights weights_;
  Micros t_;
  std::vector<std::uint64_t> offsets_;  // of each row, and the end
  std::unique_ptr<std::atomic<std::uint32_t>[]> counts_, circled_, lost_;
  std::vector<std::uint32_t> mutuals_;  // edges of a condensed row
  std::vector<AsideEdge> aside_;        // by owner

  // One entry for each edge.
  std::unique_ptr<std::uint32_t[]> targets_;
  // Before `seal`: the confidence, bit 62 for active_probable (a value up to 1 leaves it free). After: w0,
  // bit 63 for damped.
  std::unique_ptr<std::uint64_t[]> words_;
  // Before `oppose`: 45 bits age of the last evidence, 19 low bits age of the first; its 24 high bits are in
  // the tail. After: the reciprocal weight.
  std::unique_ptr<std::uint64_t[]> ages_;
  std::unique_ptr<Tail[]> tails_;
};

}  // namespace cutover::score
