#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "runtime/engine/ports.h"

namespace cutover {

// One request for messages of a lane.
struct Pull {
  std::uint64_t number = 0;
  std::size_t batch = 0;
  std::size_t bytes_max = 0;  // 0: any size
};

// How many messages of a lane may still be asked for. Keeps
//   (asked for, not arrived) + (arrived, not released) <= prefetch
// and the same in bytes: by the mean size of what arrived lately, and by a hard limit on each pull, so that a
// burst of large messages overshoots at most twofold. Several pulls are open at a time, each for a part, so
// that the next messages arrive while a batch is worked on. The broker serves open pulls in turns and does
// not say when one is complete, so only their sum is counted, and made smaller when the broker tells what a
// closed pull did not deliver. What a lost answer would have told is forgiven when the pull is past its time.
// Not thread safe.
class LaneCredit {
 public:
  // `lifetime`: a pull that was sent this long ago is certainly over.
  LaneCredit(std::size_t prefetch, std::size_t bytes, std::chrono::milliseconds lifetime);

  // The next pull to send, nullopt when the room is too small to be worth one.
  std::optional<Pull> next(Deadline now);
  void arrived(std::size_t bytes);
  void released(std::size_t count);
  // The broker closed a pull. `pending`: what it had not delivered of it, nullopt if it did not say.
  void closed(std::uint64_t number, std::optional<std::uint64_t> pending);
  // Closed because the next message is larger than `bytes_max`.
  void too_large(std::uint64_t number, std::optional<std::uint64_t> pending);
  // Forgives pulls that are past their time.
  void expire(Deadline now);
  // All open pulls are void: new connection, new consumer. Later news about them is ignored.
  void forget_pulls();

  std::size_t outstanding() const { return outstanding_; }  // asked for, not arrived
  std::size_t held() const { return sizes_.size(); }        // arrived, not released
  std::size_t prefetch() const { return prefetch_; }
  bool knows(std::uint64_t number) const { return number > forgotten_ && number <= last_; }

 private:
  struct Open {
    std::uint64_t number;
    std::size_t batch;
    Deadline over;
  };
  std::size_t room() const;
  void cap();

  const std::size_t prefetch_;
  const std::size_t bytes_;
  const std::chrono::milliseconds lifetime_;
  std::size_t outstanding_ = 0;
  std::size_t open_sum_ = 0;         // of `open_`
  std::deque<Open> open_;            // pulls that may still be open, oldest first
  std::uint64_t last_ = 0;           // number of the last pull
  std::uint64_t forgotten_ = 0;      // pulls up to this one are void
  std::deque<std::uint32_t> sizes_;  // of what is held, in order of arrival
  std::size_t held_bytes_ = 0;
  double mean_size_ = 1024;
  bool large_ahead_ = false;  // the next message is larger than a pull's usual limit
};

}  // namespace cutover
