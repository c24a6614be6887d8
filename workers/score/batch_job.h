#pragma once

#include <memory>

#include "runtime/contract/worker.h"

namespace cutover::score {

// Works the runs of score_runs off, in serving and in shadow, one at a time however many processes there are:
//   reading     the source, under one snapshot
//   computing   in memory
//   staging     results into score_results, where nobody sees them
//   publishing  one short transaction that asks again whose the request is, and makes them visible
// then tells whose explanation changed. Each phase is noted; a run whose process died is begun again with the
// same t. A hand-over during a run changes nothing about it: its request was settled before the boundary, so
// it stays its owner's, and what the new owner computes later is newer.
class BatchJob {
 public:
  //   threads  of the computation
  explicit BatchJob(std::size_t threads) : threads_(threads) {}
  // Returns true when there may be more to do at once.
  bool run(JobContext& context);

 private:
  bool run(JobContext& context, bool shadow);
  std::size_t threads_;
};

}  // namespace cutover::score
