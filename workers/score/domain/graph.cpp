#include "workers/score/domain/graph.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <utility>

#include "workers/score/domain/edge_weight.h"

namespace cutover::score {
namespace {

constexpr std::uint64_t kProbableBit = std::uint64_t{1} << 62;
constexpr std::uint64_t kDampedBit = std::uint64_t{1} << 63;
constexpr int kEvidenceBits = 45;
constexpr std::uint64_t kEvidenceMask = (std::uint64_t{1} << kEvidenceBits) - 1;
constexpr int kLowBits = 64 - kEvidenceBits;
constexpr Micros kEvidenceMax = 400 * kDay,
                 kFirstMax = 100 * kDay;  // of Weights::stale_days and settled_days
static_assert(kEvidenceMax <= static_cast<Micros>(kEvidenceMask));
// The age of an edge that is first seen after t.
constexpr std::uint64_t kFuture = (std::uint64_t{1} << (kLowBits + 24)) - 1;
static_assert(kFirstMax < static_cast<Micros>(kFuture));

bool by_owner(const AsideEdge& a, const AsideEdge& b) {
  return a.owner < b.owner;
}

// One recent edge of a row, in the order in which they were added.
struct Recent {
  Micros age;  // of the first sight; falls as first_seen_at rises
  std::uint32_t target;
  std::int64_t at;  // -1: not in the row
  bool operator<(const Recent& other) const {
    return age != other.age ? age > other.age : target < other.target;
  }
};

}  // namespace

// One edge as it is sorted.
struct Graph::Packed {
  std::uint32_t target;
  Tail tail;
  std::uint64_t word, ages;
};

Graph::Graph(const Weights& weights, Micros t, std::span<const std::uint32_t> capacity)
    : weights_(weights),
      t_(t),
      offsets_(capacity.size() + 1),
      counts_(std::make_unique<std::atomic<std::uint32_t>[]>(capacity.size())),
      circled_(std::make_unique<std::atomic<std::uint32_t>[]>(capacity.size())),
      lost_(std::make_unique<std::atomic<std::uint32_t>[]>(capacity.size())),
      mutuals_(capacity.size()) {
  for (std::size_t i = 0; i < capacity.size(); ++i) offsets_[i + 1] = offsets_[i] + capacity[i];
  // Not initialised: a page that no edge comes to costs nothing.
  targets_ = std::make_unique_for_overwrite<std::uint32_t[]>(offsets_.back());
  words_ = std::make_unique_for_overwrite<std::uint64_t[]>(offsets_.back());
  ages_ = std::make_unique_for_overwrite<std::uint64_t[]>(offsets_.back());
  tails_ = std::make_unique_for_overwrite<Tail[]>(offsets_.back());
}

void Graph::add(const Edge& edge, std::vector<AsideEdge>& aside) noexcept {
  const Micros evidence = std::max<Micros>(0, age(t_, edge.last_evidence));
  const Micros first = age(t_, edge.first_seen);
  const double weight = base_weight(weights_, edge.confidence, evidence, edge.probable);
  if (weight * weights_.damped == 0) {
    if (within_days(t_, edge.first_seen, weights_.recent_days))
      aside.push_back({edge.owner, edge.target, edge.first_seen});
    return;
  }
  const std::uint64_t at = offsets_[edge.owner] + counts_[edge.owner].fetch_add(1, std::memory_order_relaxed);
  if (at >= offsets_[edge.owner + 1]) std::abort();  // counted and read under one snapshot: cannot be
  const std::uint64_t first_age =
      first < 0 ? kFuture : static_cast<std::uint64_t>(std::min(first, kFirstMax));
  targets_[at] = edge.target;
  words_[at] = std::bit_cast<std::uint64_t>(edge.confidence) | (edge.probable ? kProbableBit : 0);
  ages_[at] = static_cast<std::uint64_t>(std::min(evidence, kEvidenceMax)) | first_age << kEvidenceBits;
  for (int i = 0; i < 3; ++i) tails_[at][i] = static_cast<std::uint8_t>(first_age >> (kLowBits + 8 * i));
  if (edge.in_circle) circled_[edge.owner].fetch_add(1, std::memory_order_relaxed);
}

void Graph::set_aside(std::vector<AsideEdge> aside) {
  aside_ = std::move(aside);
  std::sort(aside_.begin(), aside_.end(), by_owner);
}

Micros Graph::first_age_at(std::uint64_t at) const noexcept {
  std::uint64_t value = ages_[at] >> kEvidenceBits;
  for (int i = 0; i < 3; ++i) value |= static_cast<std::uint64_t>(tails_[at][i]) << (kLowBits + 8 * i);
  return value == kFuture ? -1 : static_cast<Micros>(value);
}

Micros Graph::first_seen_age(std::uint32_t owner, std::size_t i) const noexcept {
  return first_age_at(offsets_[owner] + i);
}

void Graph::sort_row(std::uint64_t begin, std::uint32_t count) {
  if (std::is_sorted(targets_.get() + begin, targets_.get() + begin + count)) return;
  thread_local std::vector<Packed> packed;
  packed.resize(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    Packed& p = packed[i];
    p.target = targets_[begin + i];
    std::copy_n(tails_[begin + i], 3, p.tail);
    p.word = words_[begin + i];
    p.ages = ages_[begin + i];
  }
  std::sort(packed.begin(), packed.end(),
            [](const Packed& a, const Packed& b) { return a.target < b.target; });
  for (std::uint32_t i = 0; i < count; ++i) {
    const Packed& p = packed[i];
    targets_[begin + i] = p.target;
    std::copy_n(p.tail, 3, tails_[begin + i]);
    words_[begin + i] = p.word;
    ages_[begin + i] = p.ages;
  }
  if (packed.capacity() > 100'000) std::vector<Packed>().swap(packed);  // of one huge row
}

// Marks what was added in bulk; the words hold w0 already.
void Graph::damp_row(std::uint32_t owner, std::uint64_t begin, std::uint32_t count) {
  thread_local std::vector<Recent> recent;
  recent.clear();
  const auto [first, last] = std::equal_range(aside_.begin(), aside_.end(), AsideEdge{owner, 0, 0}, by_owner);
  for (auto one = first; one != last; ++one) recent.push_back({age(t_, one->first_seen), one->target, -1});
  for (std::uint64_t at = begin; at < begin + count; ++at)
    if (const Micros first_age = first_age_at(at); first_age >= 0 && days(first_age) < weights_.recent_days)
      recent.push_back({first_age, targets_[at], static_cast<std::int64_t>(at)});
  const auto free = static_cast<std::size_t>(weights_.recent_free);
  if (recent.size() <= free) return;
  const auto past = recent.begin() + static_cast<std::ptrdiff_t>(free);
  std::nth_element(recent.begin(), past, recent.end());
  for (auto one = past; one != recent.end(); ++one)
    if (one->at >= 0) words_[static_cast<std::uint64_t>(one->at)] |= kDampedBit;
}

double Graph::seal(std::uint32_t owner) {
  const std::uint64_t begin = offsets_[owner];
  const std::uint32_t count = edges(owner);
  sort_row(begin, count);
  // The confidence is needed once more, behind the damping; until then w0 is computed twice rather than
  // stored.
  thread_local std::vector<double> confidences;
  confidences.resize(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint64_t word = words_[begin + i];
    confidences[i] = std::bit_cast<double>(word & ~kProbableBit);
    const Micros evidence = static_cast<Micros>(ages_[begin + i] & kEvidenceMask);
    words_[begin + i] = std::bit_cast<std::uint64_t>(
        base_weight(weights_, confidences[i], evidence, (word & kProbableBit) != 0));
  }
  damp_row(owner, begin, count);
  double sum = 0, weighted = 0;
  const SealedRow sealed = row(owner);
  for (std::uint32_t i = 0; i < count; ++i) {
    const double weight = sealed.weight(i);
    sum += weight;
    weighted += weight * confidences[i];
  }
  if (confidences.capacity() > 100'000) std::vector<double>().swap(confidences);
  return count == 0 ? 0.0 : weighted / sum;
}

double Graph::SealedRow::base_weight(std::size_t i) const noexcept {
  return std::bit_cast<double>(words[i] & ~kDampedBit);
}

double Graph::SealedRow::weight(std::size_t i) const noexcept {
  return (words[i] & kDampedBit) ? base_weight(i) * damped : base_weight(i);
}

Graph::SealedRow Graph::row(std::uint32_t owner) const noexcept {
  const std::uint64_t begin = offsets_[owner];
  return {{targets_.get() + begin, edges(owner)}, {words_.get() + begin, edges(owner)}, weights_.damped};
}

double Graph::weight_to(std::uint32_t owner, std::uint32_t target) const noexcept {
  const SealedRow sealed = row(owner);
  const auto found = std::lower_bound(sealed.targets.begin(), sealed.targets.end(), target);
  if (found == sealed.targets.end() || *found != target) return 0;
  return sealed.weight(static_cast<std::size_t>(found - sealed.targets.begin()));
}

void Graph::oppose(std::uint32_t owner, std::span<const double> reciprocal) noexcept {
  for (std::size_t i = 0; i < reciprocal.size(); ++i)
    ages_[offsets_[owner] + i] = std::bit_cast<std::uint64_t>(reciprocal[i]);
}

void Graph::condense(std::uint32_t owner) noexcept {
  const std::uint64_t begin = offsets_[owner];
  const std::uint32_t count = edges(owner);
  std::uint32_t kept = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (ages_[begin + i] == 0) continue;  // 0.0
    targets_[begin + kept] = targets_[begin + i];
    ages_[begin + kept] = ages_[begin + i];
    ++kept;
  }
  mutuals_[owner] = kept;
}

Graph::MutualRow Graph::mutual(std::uint32_t owner) const noexcept {
  const std::uint64_t begin = offsets_[owner];
  return {{targets_.get() + begin, mutuals_[owner]}, {ages_.get() + begin, mutuals_[owner]}};
}

double Graph::MutualRow::weight(std::size_t i) const noexcept {
  return std::bit_cast<double>(words[i]);
}

std::uint64_t Graph::edges() const noexcept {
  std::uint64_t sum = 0;
  for (std::uint32_t owner = 0; owner < principals(); ++owner) sum += edges(owner);
  return sum;
}

}  // namespace cutover::score
