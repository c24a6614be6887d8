#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <simdjson.h>

#include "runtime/contract/worker.h"
#include "tests/bench/measurement.h"

namespace cutover::bench {

// The job of the benchmark as a worker of the runtime: upserts the subjects of a batch into
// `bench.subject_state` unless a later version is there. Idempotency is the runtime's part.
class BenchWorker final : public Worker {
 public:
  explicit BenchWorker(Measurement& measurement) : measurement_(measurement) {}
  std::vector<Verdict> handle(std::span<const Event> events, Transaction& tx) override;

 private:
  Measurement& measurement_;
  simdjson::ondemand::parser parser_;
};

// Worker `bench`, lane `main`, two threads as the bare loop has.
WorkerSpec bench_worker_spec(Measurement& measurement);

}  // namespace cutover::bench
