#include "runtime/cli/progress_bar.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>

#include <fmt/format.h>

#include "runtime/cli/output.h"

namespace cutover::cli {

constexpr std::int64_t kWidth = 30;

ProgressBar::ProgressBar() : visible_(::isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar() {
  if (visible_) std::cerr << "\r\x1b[K" << std::flush;
}

void ProgressBar::show(std::string_view what, std::int64_t done, std::int64_t expected) {
  if (visible_) std::cerr << "\r\x1b[K" << progress_line(what, done, expected) << std::flush;
}

std::string progress_line(std::string_view what, std::int64_t done, std::int64_t expected) {
  const std::int64_t whole = std::max<std::int64_t>({expected, done, 1});
  const auto filled = static_cast<std::size_t>(done * kWidth / whole);
  return fmt::format("{}  [{}{}] {:3} %  {} of {}", what, std::string(filled, '#'),
                     std::string(static_cast<std::size_t>(kWidth) - filled, '-'), done * 100 / whole,
                     grouped(static_cast<std::uint64_t>(done)), grouped(static_cast<std::uint64_t>(whole)));
}

}  // namespace cutover::cli
