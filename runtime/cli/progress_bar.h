#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cutover::cli {

// One line on standard error that shows how far a command is; nothing unless that is a terminal. One thread.
class ProgressBar {
 public:
  ProgressBar();
  ~ProgressBar();  // removes the line
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void show(std::string_view what, std::int64_t done, std::int64_t expected);

 private:
  bool visible_;
};

// "contacts  [#####-----]  50 %  10 of 20"
std::string progress_line(std::string_view what, std::int64_t done, std::int64_t expected);

}  // namespace cutover::cli
