#pragma once

#include "runtime/contract/output.h"
#include "runtime/parity/statistics.h"
#include "runtime/postgres/session.h"

namespace cutover::postgres {

// What a comparison says of all rows together, computed by the database in one pass over both tables. Names
// and expressions are those of the output. Throw StatementError and DependencyDown.

// Of output.measured, over finite numbers only.
parity::Statistics read_statistics(Session& session, const Output& output, const std::string& against);
// Of output.distribution, in so many bins.
parity::Histogram read_histogram(Session& session, const Output& output, const std::string& against,
                                 int bins);
// Of output.matrix.
parity::Matrix read_matrix(Session& session, const Output& output, const std::string& against);

}  // namespace cutover::postgres
