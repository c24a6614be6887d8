#pragma once

#include "runtime/contract/output.h"

namespace cutover::score {

// The current scores, as `cutover compare` compares them: 0.01 points, components 0.0001, instant and formula
// exactly. The reasons of an explanation are the worker's alone.
Output scores_output();

}  // namespace cutover::score
