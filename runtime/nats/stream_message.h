#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/engine/ports.h"

namespace cutover {

// A message as a stream holds it. Owns its bytes.
struct StreamMessage {
  std::uint64_t sequence = 0;
  std::string subject;
  std::vector<std::pair<std::string, std::string>> headers;  // in order, names repeat
  std::string data;
  Instant published_at;  // when the broker stored it

  // The first value of a header, empty if absent.
  std::string_view header(std::string_view name) const;
};

// Reads an answer of STREAM.MSG.GET: {"message": {"subject": ..., "seq": ..., "hdrs": ..., "data": ...,
// "time":
// ...}}. Throws BrokerError when it is something else.
StreamMessage parse_stream_message(const nlohmann::json& answer);

}  // namespace cutover
