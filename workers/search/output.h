#pragma once

#include "runtime/contract/output.h"

namespace cutover::search {

// The documents, as `cutover compare` compares them: every field, circle names as a set. When they changed,
// and by which event, differs between two sides that read the present rows at their own pace.
Output documents_output();

}  // namespace cutover::search
