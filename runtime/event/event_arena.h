#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace cutover {

// Memory of one batch for strings that had to be unescaped. Grows by blocks, so pointers stay valid until
// reset. Its size is bounded by the batch: a string takes no more bytes here than in its message. Not thread
// safe.
class EventArena {
 public:
  // Uninitialised bytes, valid until reset.
  char* take(std::size_t bytes);
  // Forgets everything; keeps one block for the next batch.
  void reset() noexcept;
  // Bytes held from the system.
  std::size_t capacity() const noexcept;

 private:
  struct Block {
    std::unique_ptr<char[]> memory;
    std::size_t size;
  };
  std::vector<Block> blocks_;
  std::size_t used_ = 0;  // of the last block
};

}  // namespace cutover
