#pragma once

#include "runtime/contract/worker.h"
#include "runtime/nats/stream_admin.h"
#include "runtime/policy/stages.h"
#include "runtime/policy/watch.h"
#include "runtime/postgres/connection.h"

namespace cutover {

// How much waits for a worker's own lanes.
struct WorkerLag {
  std::uint64_t pending = 0;  // events that it has not settled
  std::optional<double>
      drain_seconds;  // at its best pace of the last minute; none: a lane has no consumer yet
};
WorkerLag read_lag(postgres::Connection& database, StreamAdmin& broker, const WorkerSpec& worker);

// What the watch looks at. `broker` null: it is away.
WatchFacts read_vital_signs(postgres::Connection& database, StreamAdmin* broker, const WorkerSpec& worker,
                            const Standing& standing);

}  // namespace cutover
