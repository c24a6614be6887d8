#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/contract/transaction.h"
#include "workers/dispute/announcer.h"
#include "workers/dispute/case_book.h"
#include "workers/dispute/domain/transition.h"

namespace cutover::dispute {

// What cases want of the ownership state of their channels. One case has a channel open at a time, the others
// wait for it. The monolith owns the table: what is wanted is asked for, step by step, and what was asked for
// counts as done until the table says otherwise.
class ChannelClaims {
 public:
  ChannelClaims(CaseBook& book, Announcer& announcer) : book_(book), announcer_(announcer) {}

  // Locks the channels of these cases to the end of the transaction and reads who wants what of them. Before
  // CaseBook::load.
  void lock(const std::vector<std::int64_t>& case_ids);
  // A C1 or C2 case takes its channel and asks for `challenged`, or waits for the case that has it
  // (record.blocked_by).
  void open(CaseRecord& record, Instant at);
  // A resolved case asks for what its actions award and gives the channel free.
  void close(const CaseRecord& record, Instant at);
  // Writes what changed.
  void save();

 private:
  struct Claim {
    std::int64_t channel_id = 0;
    std::string state;  // open | waiting | closed
    std::vector<Ownership> path;
    std::int64_t expected_version = 0;  // of the channel at the first state of the path
    std::optional<std::int64_t> blocked_by;
    std::string refused;
    Instant at;
    bool changed = false;
  };
  struct Channel {
    std::optional<Ownership> state;
    std::int64_t version = 0;
  };
  bool step(const CaseRecord& record, Claim& claim, Ownership to);

  CaseBook& book_;
  Announcer& announcer_;
  std::map<std::int64_t, Channel> channels_;
  std::map<std::int64_t, Claim> claims_;  // by case
};

}  // namespace cutover::dispute
