#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/contract/clock.h"
#include "runtime/contract/event.h"
#include "runtime/contract/transaction.h"

namespace cutover::search {

// Puts documents of one owner aside, to be projected behind the lanes, in jobs of at most `chunk` documents. Durable with
// `tx`. Fair: the next job of an owner queues behind those that other owners have in the queue by then.
//   cause  the event that touched them
void put_aside(Transaction& tx, const Event& cause, std::int64_t owner, std::span<const std::int64_t> contacts,
               std::span<const std::int64_t> profiles, std::size_t chunk);

// Works the jobs off, one in each transaction; several may run at once. A job that fails does not hold up the others and is
// tried again after ten seconds. One thread.
class JobRunner {
 public:
  // Returns true when there may be more.
  bool run(Transaction& tx);

 private:
  struct Failed {
    std::int64_t job_id;
    Instant at;
  };
  std::vector<Failed> failed_;  // jobs that threw
};

}  // namespace cutover::search
