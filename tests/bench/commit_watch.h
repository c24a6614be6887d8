#pragma once

#include <cstdint>
#include <vector>

#include "tests/bench/measurement.h"

namespace cutover::bench {

// Notices when the transaction of a batch has committed: the program is linked with `--wrap=PQgetResult`, and
// the answer to COMMIT on the thread that handled the batch ends it. So the runtime that is measured needs no
// hook for it.
class CommitWatch {
 public:
  // The batch that the calling thread works on now; an earlier one of it that never committed is forgotten.
  //   published_us  of its events
  static void expect_commit(Measurement& measurement, std::vector<std::int64_t> published_us);
};

}  // namespace cutover::bench
