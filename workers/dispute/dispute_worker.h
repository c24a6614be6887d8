#pragma once

#include <memory>

#include "runtime/contract/worker.h"

namespace cutover::dispute {

// Routes, adjudicates, holds and escalates ownership and trust cases. One for each thread.
std::unique_ptr<Worker> make_dispute_worker();

}  // namespace cutover::dispute

namespace cutover {

// The worker `dispute-processor`.
WorkerSpec dispute_processor_spec();

}  // namespace cutover
