#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/contract/clock.h"
#include "runtime/policy/segments.h"

namespace cutover {

// How far a worker has been taken over from the monolith.
enum class Stage {
  monolith,  // the monolith applies everything
  shadow,    // so it does, and the worker computes beside it
  canary,    // a share of the keys is the worker's
  worker,    // everything is the worker's
  complete,  // so it is, and there is no way back
};

// monolith | shadow | canary | worker | complete
std::string_view to_text(Stage stage) noexcept;
Stage stage_of(Mode mode) noexcept;

// Where a worker stands, and since when.
struct Standing {
  Stage stage = Stage::monolith;
  int percent_hundredths = 0;  // canary
  std::int64_t epoch =
      0;  // 0: nothing was ever decided, the stage is the one that the worker was registered with
  std::optional<Instant> since;  // of the last change; none when nothing was ever decided
};

// "canary 12.5 %", "shadow"
std::string to_text(const Standing& standing);

// What an operator asks for.
enum class Step { shadow_start, shadow_stop, canary, switch_over, reverse, complete };

// The command's words: "shadow start", "switch"
std::string_view to_text(Step step) noexcept;

// "10" is 1,000, "12.5" 1,250, "0.01" 1: 0.01 to 100 with at most two decimals; nothing for another text.
std::optional<int> parse_percent(std::string_view text) noexcept;
// 1,250 is "12.5"
std::string percent_text(int hundredths);

}  // namespace cutover
