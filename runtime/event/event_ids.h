#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "runtime/contract/clock.h"

namespace cutover {

// Makes event ids: UUID version 7 (RFC 9562), so that they sort by time and index pages fill in order. The 60
// time bits are microseconds in effect; within one instance they always grow, also when the clock stands
// still or jumps back. One per thread.
class EventIds {
 public:
  // clock   outlives this
  // random  64 uniform bits a call
  EventIds(const Clock& clock, std::function<std::uint64_t()> random);
  // 36 characters, lower case.
  std::string next();

 private:
  const Clock& clock_;
  std::function<std::uint64_t()> random_;
  std::uint64_t last_ticks_ = 0;  // milliseconds << 12 | fraction of one in 1/4096
};

}  // namespace cutover
