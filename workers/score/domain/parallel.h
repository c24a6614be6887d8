#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace cutover::score {

// How far a computation is; called now and then on the thread that asked for it. False: stop.
using Tick = std::function<bool(std::size_t done, std::size_t total)>;

// A computation was stopped by its Tick.
struct Stopped : std::exception {
  const char* what() const noexcept override { return "stopped"; }
};

// Runs `work(first, last, local)` over 0..count in chunks, on `threads` threads of which the caller's is one.
// `make` returns what each thread keeps for itself. Throws Stopped, or the first exception of `make` or
// `work`, when all threads have ended.
template <typename Make, typename Work>
void in_chunks(std::size_t count, std::size_t threads, std::size_t chunk, const Make& make, const Work& work,
               const Tick& tick = {}) {
  std::atomic<std::size_t> next{0};
  std::atomic<bool> over{false};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto run = [&](bool caller) {
    try {
      auto local = make();
      for (std::size_t first = 0; !over && (first = next.fetch_add(chunk)) < count;) {
        work(first, std::min(count, first + chunk), local);
        if (caller && tick && !tick(std::min(count, first + chunk), count)) throw Stopped();
      }
    } catch (...) {
      over = true;
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  std::vector<std::jthread> others;
  for (std::size_t i = 1; i < threads && i * chunk < count; ++i) others.emplace_back(run, false);
  run(true);
  others.clear();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace cutover::score
