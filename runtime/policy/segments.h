#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace cutover {

// 64-bit FNV-1a of the bytes of a key.
std::uint64_t fnv1a64(std::string_view key) noexcept;

inline constexpr int kBuckets = 10'000;

// The bucket of a key, 0 to 9,999: what a canary percentage is compared with.
int bucket(std::string_view key) noexcept;

enum class Side : char { monolith = 'm', worker = 'w' };

enum class Mode : char {
  monolith = 'm',  // the monolith applies, the worker skips
  shadow = 's',    // the monolith applies, the worker computes into `shadow`
  canary = 'c',    // a share of the keys is the worker's; it computes everything into `shadow` too
  worker = 'w',    // the worker applies
};

// One change of ownership of a worker's stream: true from a sequence on, until a later epoch says otherwise.
struct Segment {
  std::int64_t epoch = 0;
  int incarnation = 0;
  std::uint64_t from_sequence = 0;
  Mode mode = Mode::worker;
  int percent_hundredths = 0;  // canary: 0 to 10,000 buckets are the worker's; 12.5 % is 1,250
};

// Who does what with one event.
struct Owner {
  Side serving = Side::worker;  // applies it to the serving tables
  bool shadow = false;          // the worker also computes it into schema `shadow`
  Mode mode = Mode::worker;     // of the segment that said so
  std::int64_t epoch = 0;       // of that segment, 0 without one
};

// The owner of an event: a pure function of its place and key. Of the segments of its incarnation that begin
// at or below its sequence, the one with the highest epoch decides. Below the first segment it is the
// monolith's; where there is none at all, the first owner's.
//   segments  of one worker and one stream, any order, any incarnations
//   key       Cutover-Key, else subject id; empty for a malformed event without either
//   first     whose the worker's events are before anything was decided
Owner owner(std::span<const Segment> segments, int incarnation, std::uint64_t sequence,
            std::string_view key, Side first = Side::worker) noexcept;

}  // namespace cutover
