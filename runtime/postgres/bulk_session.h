#pragma once

#include <memory>

#include "runtime/contract/bulk.h"
#include "runtime/postgres/connection.h"

namespace cutover::postgres {

// Connects; statements of this session may take as long as they need.
//   throws  DependencyDown naming host, database and cause
std::unique_ptr<BulkSession> open_bulk_session(const ConnectionOptions& options);

}  // namespace cutover::postgres
