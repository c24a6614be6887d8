#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "runtime/parity/ignore_rules.h"
#include "runtime/parity/ports.h"
#include "runtime/parity/result.h"

namespace cutover::parity {

// A key that differed when it was first read.
struct Suspect {
  Key key;
  std::uint64_t fingerprint = 0;  // of both rows
  std::string beyond;             // the watermark that one of them lay beyond: CONTACT/42; empty: none
};

// How far the walk over the table is.
struct WalkState {
  std::optional<Key> after;  // everything up to this key is walked
  bool done = false;
  std::uint64_t suspects = 0;  // written so far
  OutputResult result;
};

// Where a comparison keeps what it finds, so that its memory does not grow with the differences and a
// comparison that was interrupted can go on. One thread.
class Journal {
 public:
  virtual ~Journal() = default;
  virtual void suspect(const Suspect& suspect) = 0;
  // Those from number `from` on, at most `limit`.
  virtual std::vector<Suspect> suspects(std::uint64_t from, std::size_t limit) = 0;
  virtual void difference(const Difference& difference) = 0;
  // A block is done, and all suspects up to it are written; false: stop here.
  virtual bool walked(const WalkState& state) = 0;
};

struct ComparisonOptions {
  std::uint64_t block_rows = 16'384;  // of one side, hashed at once
  std::uint64_t leaf_rows = 256;      // read row by row from here on
  std::chrono::milliseconds settle{2'000};
  int settle_rounds = 5;  // so often a row that keeps changing is read again
};

// Lets that much time pass; false when somebody wants to stop.
using Pause = std::function<bool(std::chrono::milliseconds)>;

// Compares one output, in two steps. walk() hashes both sides block by block, halves a block that differs
// until it is small, and compares its rows by the rules; what differs becomes a suspect. settle() reads the
// suspects again: a difference is confirmed when neither row changed while both sides settled all that either
// had settled when it was seen. What is equal then was pending if it lay beyond the watermark when it was
// seen, else transient; what lies beyond it at the last look, or never rests, is pending.
class OutputComparison {
 public:
  // All outlive this. `rules` count what they hide.
  OutputComparison(const Output& output, RowReader& reader, Journal& journal,
                   const ComparisonOptions& options)
      : output_(output), reader_(reader), journal_(journal), options_(options) {}

  // Goes on from `state`; false when the journal said stop.
  bool walk(WalkState& state);
  // Compares these keys only, instead of walk().
  void look(std::span<const Key> keys, WalkState& state);
  // Classifies the suspects into state.result and writes the differences; false when `pause` said stop: call
  // it again from the state that walk() left.
  bool settle(WalkState& state, IgnoreRules& rules, const Pause& pause);

 private:
  void narrow(const KeyRange& range, std::uint64_t keys, const Marks& marks, WalkState& state);
  void judge(const RowPair& pair, const Marks& marks, WalkState& state);
  void settle_one(const RowPair& pair, const Suspect& suspect, bool reached, bool last, const Marks& marks,
                  IgnoreRules& rules, WalkState& state, std::vector<Suspect>& again);
  void conclude(const RowPair& pair, Class what, std::vector<FieldDifference> fields, WalkState& state,
                std::string beyond = {});
  void compare_columns(WalkState& state);

  const Output& output_;
  RowReader& reader_;
  Journal& journal_;
  const ComparisonOptions options_;
};

// The places of the events that last wrote two rows: CONTACT/42, each once.
std::vector<std::string> places_of(const RowPair& pair);

}  // namespace cutover::parity
