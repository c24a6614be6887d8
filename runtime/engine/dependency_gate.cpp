#include "runtime/engine/dependency_gate.h"

#include <algorithm>

namespace cutover {

bool DependencyGate::wait_until_open(const std::string& cause, const std::function<bool()>& probe,
                                     const std::function<void()>& beat, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  bool leader = !shut_;
  shut_ = true;
  if (!leader) {
    while (shut_ && !stop.stop_requested()) {
      changed_.wait_for(lock, stop, std::chrono::seconds(1), [&] { return !shut_; });
      beat();
    }
    return !stop.stop_requested();
  }
  lock.unlock();
  on_change_(true, cause);
  bool open = false;
  for (auto pause = kProbeFirst; !(open = probe()) && !stop.stop_requested(); pause = std::min(pause * 2, kProbeMax)) {
    beat();
    lock.lock();
    changed_.wait_for(lock, stop, pause, [] { return false; });
    lock.unlock();
  }
  lock.lock();
  shut_ = false;
  lock.unlock();
  changed_.notify_all();
  on_change_(false, cause);
  return open;
}

bool DependencyGate::shut() const {
  std::lock_guard lock(mutex_);
  return shut_;
}

}  // namespace cutover
