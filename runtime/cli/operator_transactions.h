#pragma once

#include <memory>
#include <string>

#include "runtime/cli/projection.h"
#include "runtime/host/settings.h"

namespace cutover::cli {

// Transactions of an operator's command that works as a worker does: the same tables, events of the same
// producer. A transaction that loses against a lane (deadlock, serialization) is tried again, five times.
//   command  shown by PostgreSQL's list of connections
//   returns  a function that throws DependencyDown, StatementError or TransactionConflict
InTransaction operator_transactions(const Settings& settings, const std::string& worker,
                                    const std::string& command);

}  // namespace cutover::cli
