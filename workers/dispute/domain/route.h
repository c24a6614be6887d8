#pragma once

#include <string_view>

#include "workers/dispute/domain/case.h"

namespace cutover::dispute {

// Where a case waits, by its type, its severity and what it was opened with; the first row that fits.
struct Route {
  Lane lane;
  std::string_view rule;  // route.c4_user
};

Route route(Severity severity, const Evidence& evidence) noexcept;

}  // namespace cutover::dispute
