#pragma once

// What the JetStream API says, as far as the runtime reads it.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/contract/clock.h"
#include "runtime/contract/worker.h"

namespace cutover {

inline constexpr int kStreamNotFound = 10059;
inline constexpr int kConsumerNotFound = 10014;
inline constexpr int kNoMessageFound = 10037;

struct ApiError {
  int code = 0;      // like HTTP
  int err_code = 0;  // JetStream's own
  std::string description;
};

// One answer of the API: a JSON object, or an error. Text that is no JSON object becomes an error.
struct ApiAnswer {
  nlohmann::json body;
  std::optional<ApiError> error;
};
ApiAnswer parse_answer(std::string_view text);

// "2022-11-20T11:16:00.123456789Z" in microseconds, cut and not rounded, so that equal texts stay equal.
// Returns nullopt for anything else.
std::optional<Instant> parse_api_time(std::string_view text);
std::string format_api_time(Instant time);  // with microseconds

// The consumer that a lane needs: durable, explicit acks, everything from the start, never given up by the
// broker.
nlohmann::json consumer_config(const LaneSpec& lane, const std::string& durable);

// `live` with what the lane wants changed in it; nullopt when it is as wanted. Where a consumer began to
// deliver is not part of that: it cannot be changed, and one that was created again began where the old one
// ended.
std::optional<nlohmann::json> changed_config(const nlohmann::json& live, const nlohmann::json& wanted);

}  // namespace cutover
