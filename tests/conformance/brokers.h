#pragma once

#include "fixtures/memory_broker.h"
#include "fixtures/real_broker.h"

namespace cutover::test {

inline const SystemClock kSystemClock;

// The conformance suites run on RealBroker and on this.
struct InMemory : MemoryBroker {
  InMemory() : MemoryBroker(kSystemClock) {}
};

}  // namespace cutover::test
