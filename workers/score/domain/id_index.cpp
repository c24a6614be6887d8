#include "workers/score/domain/id_index.h"

#include <algorithm>

namespace cutover::score {

IdIndex::IdIndex(std::vector<std::int64_t> ids) : ids_(std::move(ids)) {
  if (ids_.empty()) return;
  const std::uint64_t range =
      static_cast<std::uint64_t>(ids_.back()) - static_cast<std::uint64_t>(ids_.front());
  // About two ids in each bucket.
  while (shift_ < 63 && (range >> shift_) > ids_.size() / 2) ++shift_;
  starts_.assign(bucket(ids_.back()) + 2, 0);
  for (std::uint32_t place = 0; place < ids_.size(); ++place) ++starts_[bucket(ids_[place]) + 1];
  for (std::size_t b = 1; b < starts_.size(); ++b) starts_[b] += starts_[b - 1];
}

std::uint32_t IdIndex::find(std::int64_t id) const noexcept {
  if (ids_.empty() || id < ids_.front() || id > ids_.back()) return kNone;
  const std::size_t b = bucket(id);
  const auto first = ids_.begin() + starts_[b];
  const auto last = ids_.begin() + starts_[b + 1];
  const auto found = std::lower_bound(first, last, id);
  return found != last && *found == id ? static_cast<std::uint32_t>(found - ids_.begin()) : kNone;
}

}  // namespace cutover::score
