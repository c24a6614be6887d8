#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "runtime/policy/segments.h"
#include "runtime/policy/sequence_set.h"

namespace cutover {

// What became of one sequence of a stream, for one worker. Exactly one of these.
enum class AuditClass {
  applied,
  duplicate,
  not_addressed,
  dead_letter,
  seized,
  other_side,       // settled by the monolith
  deleted,          // the stream does not hold it any more, and nobody settled it
  in_flight,        // its owner's consumer has not delivered it yet, or has no ack for it
  below_retention,  // older than the stream's first message, and nobody settled it
  stranded,         // acknowledged by its owner's consumer, and in nobody's ledger: lost
};
inline constexpr std::size_t kAuditClasses = 10;

// not_addressed
std::string_view to_text(AuditClass audit_class) noexcept;

class AuditCounts {
 public:
  std::uint64_t& operator[](AuditClass c) { return counts_[static_cast<std::size_t>(c)]; }
  std::uint64_t operator[](AuditClass c) const { return counts_[static_cast<std::size_t>(c)]; }

 private:
  std::array<std::uint64_t, kAuditClasses> counts_{};
};

// What the ledger says about a stretch of a stream. The sets may overlap: a dead letter that was replayed was
// settled twice, and a sequence that the broker reused stands for two events.
struct LedgerView {
  SequenceSet applied, duplicate, not_addressed, dead_letter, seized;  // by the worker
  SequenceSet other_side;                                              // by the monolith, in whatever class
  SequenceSet unresolved;  // dead letters that are open or being replayed
};

// The same, of these sequences only.
LedgerView operator&(const LedgerView& view, const SequenceSet& sequences);

// Counts what the ledger knows, each sequence once: an unresolved letter is a dead letter whatever else was
// settled at its place; another dead letter is what its replay made of it.
//   returns  all that was counted
SequenceSet count_settled(const LedgerView& view, AuditCounts& counts);

// How far a durable consumer is.
struct ConsumerPosition {
  std::uint64_t delivered = 0;  // the highest sequence of the stream that it has delivered
  std::uint64_t acked = 0;      // everything that it reads up to here is acknowledged
};

// The consumers through which the two sides see an event.
struct Readers {
  ConsumerPosition worker;
  std::optional<ConsumerPosition> monolith;  // nullopt: nobody knows which one that is
};

enum class Unsettled {
  in_flight,
  stranded,
  key_needed,  // the two sides differ, and the key decides whose it is
  unknown,     // the monolith's, and its consumer is not known
};

// Who owns what of one stream, at one look.
struct Ownership {
  std::vector<Segment> segments;
  int incarnation = 0;
  Side first = Side::worker;  // whose everything is before anything was decided

  Owner of(std::uint64_t sequence, std::string_view key) const noexcept {
    return owner(segments, incarnation, sequence, key, first);
  }
};

// Judges an event that the stream holds and the ledger does not know. The ledger must be asked again behind
// this: what was settled between the two looks is not stranded.
//   key        nullopt: not read yet
//   ownership  read after the positions were: who acks, commits first
Unsettled judge(std::uint64_t sequence, std::optional<std::string_view> key, const Ownership& ownership,
                const Readers& readers) noexcept;

}  // namespace cutover
