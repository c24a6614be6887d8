#pragma once

#include <cstdint>
#include <limits>

#include "workers/score/domain/age.h"
#include "workers/score/domain/weights.h"

namespace cutover::score {

enum class ChannelKind : std::uint8_t { phone, email, other };
enum class IncidentKind : std::uint8_t {
  abuse_flag,
  forced_recovery,
  reverification_failure,
  dispute,
  other
};
enum class Band : std::uint8_t { soft, moderate, hard };

// What a principal's own channels and incidents say. Filled in one by one, incidents in order of their ids:
// the sum of the penalties depends on it in its last bit.
class Standing {
 public:
  // A channel that is verified now.
  //   verified_at  the largest value where it is not known
  void add_verified_channel(ChannelKind kind, Micros verified_at) noexcept;
  //   cleared_at  the largest value: not cleared
  void add_incident(const Weights& weights, Micros t, IncidentKind kind, Band band, Micros occurred_at,
                    Micros cleared_at) noexcept;

  static constexpr Micros kNever = std::numeric_limits<Micros>::max();

  bool verified() const noexcept { return verified_; }
  double penalty(const Weights& weights) const noexcept {
    return penalty_ < weights.penalty_max ? penalty_ : weights.penalty_max;
  }
  // The three parts of Trust, each in [0, 1].
  double incident_free() const noexcept { return grave_ ? 0.0 : 1.0; }
  double channel_share() const noexcept { return 0.5 * ((kinds_ & 1) + (kinds_ >> 1 & 1)); }
  double flag_free(const Weights& weights) const noexcept;
  // How long a channel has been verified, in [0, 1] (y of Stability).
  double channel_age(const Weights& weights, Micros t) const noexcept;

 private:
  double penalty_ = 0;
  Micros earliest_ = kNever;
  std::uint32_t flags_ = 0;
  std::uint8_t kinds_ = 0;  // bit 0 phone, bit 1 email
  bool verified_ = false;
  bool grave_ = false;
};

}  // namespace cutover::score
