#pragma once

#include <string>
#include <string_view>

namespace cutover {

// Standard alphabet; stops at padding or at anything else.
std::string decode_base64(std::string_view text);

}  // namespace cutover
