#include "runtime/engine/progress_keeper.h"

#include <condition_variable>

namespace cutover {

ProgressKeeper::ProgressKeeper(MessageSource& source, const Clock& clock)
    : source_(source), clock_(clock), thread_([this](std::stop_token stop) { run(stop); }) {}

ProgressKeeper::Running ProgressKeeper::keep(std::vector<std::string_view> replies, std::chrono::milliseconds ack_wait) {
  auto interval = ack_wait / 3;
  std::lock_guard lock(mutex_);
  return Running(*this, entries_.insert(entries_.end(), {std::move(replies), interval, clock_.monotonic() + interval}));
}

void ProgressKeeper::Running::keep_only(std::vector<std::string_view> replies) {
  std::lock_guard lock(keeper_.mutex_);
  entry_->replies = std::move(replies);
}

void ProgressKeeper::remove(std::list<Running::Entry>::iterator entry) {
  std::lock_guard lock(mutex_);
  entries_.erase(entry);
}

void ProgressKeeper::run(std::stop_token stop) {
  std::condition_variable_any never;
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    never.wait_for(lock, stop, std::chrono::milliseconds(200), [] { return false; });
    auto now = clock_.monotonic();
    for (auto& entry : entries_) {
      if (now < entry.next) continue;
      for (std::string_view reply : entry.replies) source_.in_progress(reply);
      entry.next = now + entry.interval;
    }
  }
}

}  // namespace cutover
