#pragma once

#include <memory>

#include "runtime/contract/worker.h"

namespace cutover {

// The worker `score-orchestrator`: requests become runs or incrementals, and a job works the runs off.
WorkerSpec score_orchestrator_spec();

}  // namespace cutover

namespace cutover::score {

// Settles requests. One for each thread.
std::unique_ptr<Worker> make_score_worker();

}  // namespace cutover::score
