#pragma once

#include "runtime/cli/shell.h"

namespace cutover::cli {

// `cutover compare`; the shell outlives it.
void add_compare(Shell& shell);

}  // namespace cutover::cli
