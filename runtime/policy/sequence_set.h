#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace cutover {

// Sequences from `begin` up to, not including, `end`.
struct SequenceRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  bool operator==(const SequenceRange&) const = default;
};

// A set of sequences, kept as ranges: ascending, apart from each other, none empty. Each operation takes time
// linear in the ranges.
class SequenceSet {
 public:
  SequenceSet() = default;
  explicit SequenceSet(SequenceRange range) { add(range); }

  // In constant time when it begins at or behind the last range.
  void add(SequenceRange range);
  void add(std::uint64_t sequence) { add({sequence, sequence + 1}); }

  bool empty() const noexcept { return ranges_.empty(); }
  std::uint64_t count() const noexcept;
  bool contains(std::uint64_t sequence) const noexcept;
  const std::vector<SequenceRange>& ranges() const noexcept { return ranges_; }

  // Ranges with at most `gap` other sequences between them become one.
  std::vector<SequenceRange> stretches(std::uint64_t gap) const;

  friend SequenceSet operator|(const SequenceSet& a, const SequenceSet& b);  // in either
  friend SequenceSet operator&(const SequenceSet& a, const SequenceSet& b);  // in both
  friend SequenceSet operator-(const SequenceSet& a, const SequenceSet& b);  // in a, not in b
  bool operator==(const SequenceSet&) const = default;

 private:
  std::vector<SequenceRange> ranges_;
};

// Reads "{[1,5),[7,9)}", as PostgreSQL writes an int8multirange. Throws std::invalid_argument for anything
// else, negative or endless ranges too.
SequenceSet parse_sequence_set(std::string_view multirange);

}  // namespace cutover
