#pragma once

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/engine/ports.h"

namespace cutover {

// Keys whose publish failed, and when each may try again: after a second, then twice as long each time. Not thread safe.
class HaltedKeys {
 public:
  static constexpr std::chrono::seconds kFirst{1}, kMax{30};
  static constexpr std::size_t kKeysMax = 10'000;  // beyond that a key is tried again in the next round

  // Whose time has not come; views are valid until the next change.
  std::vector<std::string_view> waiting(Deadline now) const {
    std::vector<std::string_view> keys;
    for (const auto& [key, halt] : halts_)
      if (halt.until > now) keys.push_back(key);
    return keys;
  }
  // When the first one may try again, `fallback` at the latest.
  Deadline next(Deadline now, Deadline fallback) const {
    for (const auto& [key, halt] : halts_)
      if (halt.until > now) fallback = std::min(fallback, halt.until);
    return fallback;
  }
  void failed(std::string_view key, Deadline now) {
    auto found = halts_.find(key);
    if (found == halts_.end()) {
      if (halts_.size() < kKeysMax) halts_.emplace(key, Halt{kFirst, now + kFirst});
      return;
    }
    found->second.pause = std::min<std::chrono::milliseconds>(found->second.pause * 2, kMax);
    found->second.until = now + found->second.pause;
  }
  void stored(std::string_view key) {
    if (auto found = halts_.find(key); found != halts_.end()) halts_.erase(found);
  }
  // Forgets keys that had their chance long ago and did not come again: another relay has their rows.
  void forget_idle(Deadline now) {
    std::erase_if(halts_, [&](const auto& entry) { return entry.second.until + kMax < now; });
  }
  void clear() { halts_.clear(); }
  std::size_t size() const { return halts_.size(); }

 private:
  struct Halt {
    std::chrono::milliseconds pause;
    Deadline until;
  };
  std::map<std::string, Halt, std::less<>> halts_;
};

}  // namespace cutover
