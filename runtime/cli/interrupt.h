#pragma once

#include <signal.h>

#include <chrono>

namespace cutover::cli {

// Ctrl-C and SIGTERM, asked for instead of suffered: a long command stops between two of its transactions.
// Create it before any thread is started. One at a time.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // Lets that much time pass; false, at once and from then on, when a signal came.
  bool wait(std::chrono::milliseconds time);
  bool came() { return !wait(std::chrono::milliseconds(0)); }

 private:
  sigset_t signals_;
  sigset_t before_;
  bool came_ = false;
};

}  // namespace cutover::cli
