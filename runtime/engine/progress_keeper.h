#pragma once

#include <chrono>
#include <list>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "runtime/contract/clock.h"
#include "runtime/engine/ports.h"

namespace cutover {

// Tells the broker that running batches are being worked on, at a third of their ack_wait, from a thread of its own: a
// handler that takes minutes is not redelivered meanwhile. Thread safe.
class ProgressKeeper {
 public:
  ProgressKeeper(MessageSource& source, const Clock& clock);

  // While this lives its messages are kept; what the replies point to must live as long.
  class Running {
   public:
    ~Running() { keeper_.remove(entry_); }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    // From now on only these: what was answered must not be touched again, it would wait for another ack_wait.
    void keep_only(std::vector<std::string_view> replies);

   private:
    friend class ProgressKeeper;
    struct Entry {
      std::vector<std::string_view> replies;
      std::chrono::milliseconds interval;
      Deadline next;
    };
    Running(ProgressKeeper& keeper, std::list<Entry>::iterator entry) : keeper_(keeper), entry_(entry) {}
    ProgressKeeper& keeper_;
    std::list<Entry>::iterator entry_;
  };
  [[nodiscard]] Running keep(std::vector<std::string_view> replies, std::chrono::milliseconds ack_wait);

 private:
  void remove(std::list<Running::Entry>::iterator entry);
  void run(std::stop_token stop);

  MessageSource& source_;
  const Clock& clock_;
  std::mutex mutex_;
  std::list<Running::Entry> entries_;
  std::jthread thread_;
};

}  // namespace cutover
