#include "runtime/policy/segments.h"

namespace cutover {

std::uint64_t fnv1a64(std::string_view key) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : key) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  return hash;
}

int bucket(std::string_view key) noexcept {
  return static_cast<int>(fnv1a64(key) % kBuckets);
}

Owner owner(std::span<const Segment> segments, int incarnation, std::uint64_t sequence, std::string_view key,
            Side first) noexcept {
  const Segment* ruling = nullptr;
  bool decided = false;  // somebody said something about this life of the stream
  for (const Segment& segment : segments) {
    if (segment.incarnation != incarnation) continue;
    decided = true;
    if (segment.from_sequence > sequence) continue;
    if (!ruling || segment.epoch > ruling->epoch) ruling = &segment;
  }
  if (!ruling && (decided || first == Side::monolith)) return {Side::monolith, false, Mode::monolith, 0};
  if (!ruling) return {};
  switch (ruling->mode) {
    case Mode::monolith:
      return {Side::monolith, false, ruling->mode, ruling->epoch};
    case Mode::shadow:
      return {Side::monolith, true, ruling->mode, ruling->epoch};
    case Mode::canary: {
      const Side side = bucket(key) < ruling->percent_hundredths ? Side::worker : Side::monolith;
      return {side, true, ruling->mode, ruling->epoch};
    }
    case Mode::worker:
      break;
  }
  return {Side::worker, false, ruling->mode, ruling->epoch};
}

}  // namespace cutover
