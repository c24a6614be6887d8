#include "runtime/policy/sequence_set.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <string>

namespace cutover {

void SequenceSet::add(SequenceRange range) {
  if (range.begin >= range.end) return;
  if (ranges_.empty() || range.begin > ranges_.back().end) {
    ranges_.push_back(range);
  } else if (range.begin >= ranges_.back().begin) {
    ranges_.back().end = std::max(ranges_.back().end, range.end);
  } else {
    SequenceSet other;
    other.ranges_.push_back(range);
    *this = *this | other;
  }
}

std::uint64_t SequenceSet::count() const noexcept {
  std::uint64_t count = 0;
  for (const SequenceRange& range : ranges_) count += range.end - range.begin;
  return count;
}

bool SequenceSet::contains(std::uint64_t sequence) const noexcept {
  const auto after =
      std::upper_bound(ranges_.begin(), ranges_.end(), sequence,
                       [](std::uint64_t value, const SequenceRange& range) { return value < range.begin; });
  return after != ranges_.begin() && sequence < std::prev(after)->end;
}

std::vector<SequenceRange> SequenceSet::stretches(std::uint64_t gap) const {
  std::vector<SequenceRange> merged;
  for (const SequenceRange& range : ranges_)
    if (!merged.empty() && range.begin - merged.back().end <= gap)
      merged.back().end = range.end;
    else
      merged.push_back(range);
  return merged;
}

SequenceSet operator|(const SequenceSet& a, const SequenceSet& b) {
  SequenceSet both;
  auto left = a.ranges_.begin();
  auto right = b.ranges_.begin();
  while (left != a.ranges_.end() || right != b.ranges_.end()) {
    const bool take_left =
        right == b.ranges_.end() || (left != a.ranges_.end() && left->begin <= right->begin);
    both.add(take_left ? *left++ : *right++);
  }
  return both;
}

SequenceSet operator&(const SequenceSet& a, const SequenceSet& b) {
  SequenceSet common;
  auto left = a.ranges_.begin();
  auto right = b.ranges_.begin();
  while (left != a.ranges_.end() && right != b.ranges_.end()) {
    common.add({std::max(left->begin, right->begin), std::min(left->end, right->end)});
    left->end < right->end ? ++left : ++right;
  }
  return common;
}

SequenceSet operator-(const SequenceSet& a, const SequenceSet& b) {
  SequenceSet rest;
  auto taken = b.ranges_.begin();
  for (SequenceRange range : a.ranges_) {
    while (taken != b.ranges_.end() && taken->end <= range.begin) ++taken;
    for (auto next = taken; next != b.ranges_.end() && next->begin < range.end; ++next) {
      rest.add({range.begin, next->begin});
      range.begin = std::max(range.begin, std::min(next->end, range.end));
    }
    rest.add(range);
  }
  return rest;
}

SequenceSet parse_sequence_set(std::string_view text) {
  const auto wrong = [&] {
    return std::invalid_argument("no multirange of sequences: " + std::string(text.substr(0, 40)));
  };
  if (text.size() < 2 || text.front() != '{' || text.back() != '}') throw wrong();
  std::string_view rest = text.substr(1, text.size() - 2);
  const auto skip = [&](char expected) {
    if (rest.empty() || rest.front() != expected) throw wrong();
    rest.remove_prefix(1);
  };
  const auto number = [&] {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (error != std::errc()) throw wrong();
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    return value;
  };
  SequenceSet set;
  while (!rest.empty()) {
    if (!set.empty()) skip(',');
    SequenceRange range;
    skip('[');
    range.begin = number();
    skip(',');
    range.end = number();
    skip(')');
    if (range.begin >= range.end) throw wrong();
    set.add(range);
  }
  return set;
}

}  // namespace cutover
