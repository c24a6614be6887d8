#pragma once

#include <string>
#include <string_view>

namespace cutover {

// The public key (U..., A..., ...) that belongs to an nkey seed (SU..., SA..., ...); spaces around the seed
// are ignored. Throws std::invalid_argument when it is no seed; the message never shows it.
std::string nkey_public(std::string_view seed);

}  // namespace cutover
