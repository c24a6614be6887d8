#include "runtime/cli/interrupt.h"

#include <ctime>

namespace cutover::cli {

Interrupt::Interrupt() {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGINT);
  sigaddset(&signals_, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &signals_, &before_);
}

Interrupt::~Interrupt() {
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

bool Interrupt::wait(std::chrono::milliseconds time) {
  if (came_) return false;
  const timespec limit{time.count() / 1'000, time.count() % 1'000 * 1'000'000};
  came_ = ::sigtimedwait(&signals_, nullptr, &limit) > 0;
  return !came_;
}

}  // namespace cutover::cli
