#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cutover {

inline constexpr std::size_t kErrorBytesMax = 2048;

// An error as it is stored and shown: the first 2 KiB, cut between characters, bytes that a text column
// cannot hold (NUL, not UTF-8) replaced by '?'.
std::string error_text(std::string_view error);

// An error with everything masked that differs between two occurrences of one problem: UUIDs, times, numbers
// and addresses, hex, other ids, quoted text. The quoted name of a constraint, column and the like stays: it
// tells problems apart. White space is one blank. At most 2 KiB. Applied to its own result it changes
// nothing.
//   "Key (id)=(42) at 2026-03-01T10:00:00Z"  ->  "Key (id)=(<n>) at <time>"
std::string error_group(std::string_view error);

}  // namespace cutover
