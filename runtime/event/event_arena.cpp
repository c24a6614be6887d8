#include "runtime/event/event_arena.h"

#include <algorithm>

namespace cutover {
namespace {

constexpr std::size_t kBlockBytes = 16 * 1024;

}  // namespace

char* EventArena::take(std::size_t bytes) {
  if (blocks_.empty() || blocks_.back().size - used_ < bytes) {
    const std::size_t size = std::max(bytes, kBlockBytes);
    blocks_.push_back({std::unique_ptr<char[]>(new char[size]), size});
    used_ = 0;
  }
  char* memory = blocks_.back().memory.get() + used_;
  used_ += bytes;
  return memory;
}

void EventArena::reset() noexcept {
  if (blocks_.size() > 1) blocks_.erase(blocks_.begin() + 1, blocks_.end());
  if (!blocks_.empty() && blocks_.front().size > kBlockBytes) blocks_.clear();
  used_ = 0;
}

std::size_t EventArena::capacity() const noexcept {
  std::size_t bytes = 0;
  for (const Block& block : blocks_) bytes += block.size;
  return bytes;
}

}  // namespace cutover
