#include "runtime/policy/stages.h"

#include <charconv>

#include <fmt/format.h>

namespace cutover {

std::string_view to_text(Stage stage) noexcept {
  switch (stage) {
    case Stage::monolith:
      return "monolith";
    case Stage::shadow:
      return "shadow";
    case Stage::canary:
      return "canary";
    case Stage::worker:
      return "worker";
    case Stage::complete:
      break;
  }
  return "complete";
}

Stage stage_of(Mode mode) noexcept {
  switch (mode) {
    case Mode::monolith:
      return Stage::monolith;
    case Mode::shadow:
      return Stage::shadow;
    case Mode::canary:
      return Stage::canary;
    case Mode::worker:
      break;
  }
  return Stage::worker;
}

std::string to_text(const Standing& standing) {
  if (standing.stage != Stage::canary) return std::string(to_text(standing.stage));
  return "canary " + percent_text(standing.percent_hundredths) + " %";
}

std::string_view to_text(Step step) noexcept {
  switch (step) {
    case Step::shadow_start:
      return "shadow start";
    case Step::shadow_stop:
      return "shadow stop";
    case Step::canary:
      return "canary";
    case Step::switch_over:
      return "switch";
    case Step::reverse:
      return "reverse";
    case Step::complete:
      break;
  }
  return "complete";
}

std::optional<int> parse_percent(std::string_view text) noexcept {
  const auto dot = text.find('.');
  const std::string_view whole = text.substr(0, dot);
  int percent = 0;
  if (whole.empty() || whole.size() > 3) return std::nullopt;
  const auto [end, error] = std::from_chars(whole.data(), whole.data() + whole.size(), percent);
  if (error != std::errc() || end != whole.data() + whole.size() || percent < 0) return std::nullopt;
  int hundredths = percent * 100;
  if (dot != std::string_view::npos) {
    const std::string_view decimals = text.substr(dot + 1);
    if (decimals.empty() || decimals.size() > 2) return std::nullopt;
    for (std::size_t i = 0; i < decimals.size(); ++i) {
      if (decimals[i] < '0' || decimals[i] > '9') return std::nullopt;
      hundredths += (decimals[i] - '0') * (i == 0 ? 10 : 1);
    }
  }
  if (hundredths < 1 || hundredths > kBuckets) return std::nullopt;
  return hundredths;
}

std::string percent_text(int hundredths) {
  if (hundredths % 100 == 0) return std::to_string(hundredths / 100);
  std::string text = fmt::format("{}.{:02}", hundredths / 100, hundredths % 100);
  if (text.back() == '0') text.pop_back();
  return text;
}

}  // namespace cutover
