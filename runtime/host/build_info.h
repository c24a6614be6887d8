#pragma once

#include "runtime/observe/metrics.h"

namespace cutover {

// Version of the project and the revision that it was configured at, "unknown" outside a repository.
BuildInfo build_info();

}  // namespace cutover
