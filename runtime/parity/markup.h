#pragma once

#include <string>
#include <string_view>

namespace cutover::parity {

// Text that stands for itself in XML and HTML, in content as in attributes; control characters become U+FFFD.
std::string escaped(std::string_view text);

// 1,234,567
std::string grouped_digits(unsigned long long number);

}  // namespace cutover::parity
