#pragma once

#include <string>
#include <vector>

#include "runtime/parity/ports.h"

namespace cutover::parity {

// Judgements about how far both sides are.

// The watermark that one of the rows lies beyond, because an event wrote it that only one side has settled:
// CONTACT/42. Empty: none. Rows that no event wrote, and those of streams that nobody settles here, are older
// than every mark.
std::string beyond(const RowPair& pair, const Marks& marks);

// Whether both sides have by now settled everything that either had settled at an earlier look.
bool has_reached(const Marks& now, const Marks& then);

// Why the marks do not move: "CONTACT: ..." for each stream on which something waits and nothing happened
// since the first look. Empty: they move, or there is nothing to wait for.
std::vector<std::string> standing_still(const Marks& first, const Marks& last);

}  // namespace cutover::parity
