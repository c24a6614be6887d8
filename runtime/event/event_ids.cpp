#include "runtime/event/event_ids.h"

#include <algorithm>
#include <utility>

namespace cutover {
namespace {

constexpr std::uint64_t kVersion7 = 7;
constexpr std::uint64_t kVariant = 0b10;

void put_hex(std::string& text, std::size_t at, std::uint64_t bits, int digits) {
  for (int i = digits - 1; i >= 0; --i, bits >>= 4)
    text[at + static_cast<std::size_t>(i)] = "0123456789abcdef"[bits & 15];
}

}  // namespace

EventIds::EventIds(const Clock& clock, std::function<std::uint64_t()> random)
    : clock_(clock), random_(std::move(random)) {}

std::string EventIds::next() {
  const auto micros =
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, clock_.now().time_since_epoch().count()));
  const std::uint64_t ticks = (micros / 1000) << 12 | (micros % 1000) * 4096 / 1000;
  last_ticks_ = std::max(ticks, last_ticks_ + 1);

  const std::uint64_t tail = kVariant << 62 | random_() >> 2;
  std::string id(36, '-');
  put_hex(id, 0, last_ticks_ >> 28, 8);
  put_hex(id, 9, last_ticks_ >> 12 & 0xFFFF, 4);
  put_hex(id, 14, kVersion7 << 12 | (last_ticks_ & 0xFFF), 4);
  put_hex(id, 19, tail >> 48, 4);
  put_hex(id, 24, tail & 0xFFFF'FFFF'FFFF, 12);
  return id;
}

}  // namespace cutover
