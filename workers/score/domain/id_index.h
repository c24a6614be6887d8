#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace cutover::score {

// Finds the place of an id among ascending ids. Ids that are spread about evenly, as those of a sequence are,
// take one or two steps. Immutable, so any thread may ask.
class IdIndex {
 public:
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  IdIndex() = default;
  // `ids` ascend strictly; fewer than 2^32 - 1.
  explicit IdIndex(std::vector<std::int64_t> ids);

  // kNone for an id that is not there.
  std::uint32_t find(std::int64_t id) const noexcept;
  std::int64_t id(std::uint32_t place) const noexcept { return ids_[place]; }
  std::size_t size() const noexcept { return ids_.size(); }
  std::span<const std::int64_t> ids() const noexcept { return ids_; }

 private:
  std::size_t bucket(std::int64_t id) const noexcept {
    return static_cast<std::size_t>(
        (static_cast<std::uint64_t>(id) - static_cast<std::uint64_t>(ids_.front())) >> shift_);
  }

  std::vector<std::int64_t> ids_;
  std::vector<std::uint32_t> starts_;  // of each bucket of equally many possible ids, and the end
  int shift_ = 0;
};

}  // namespace cutover::score
