#pragma once

#include <string>

namespace cutover::cli {

// Who sits at this terminal, for the operators' log: "anna@host"; behind sudo the user who called it.
std::string operator_name();

}  // namespace cutover::cli
