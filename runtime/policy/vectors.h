#pragma once

#include <string_view>

namespace cutover {

// SHA-256, in hex, of tests/vectors/ownership.json at the time of this build: whole messages, and which key, bucket and
// addressee every side must read in them. A monolith whose gate carries another file may own other events than we think.
std::string_view vectors_hash() noexcept;

}  // namespace cutover
