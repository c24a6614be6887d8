#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace cutover::bench {

struct SequenceOptions {
  std::uint64_t seed = 1;  // another seed: other event ids and, with random keys, other keys
  std::uint32_t subjects = 10'000;
  int duplicate_percent = 5;
  bool random_keys = false;  // UUIDs instead of keys that grow with time
};

struct GeneratedEvent {
  std::string event_id;         // UUID, a new one even for a duplicate
  std::string idempotency_key;  // repeated by a duplicate, with the subject, version and score of the first
  std::string subject_id;
  std::int64_t version = 0;  // grows by one with each event of a subject that is not a duplicate
  std::int64_t score = 0;
};

// What the database must hold after every event was applied once.
struct Expected {
  std::uint64_t keys = 0;         // distinct idempotency keys
  std::uint64_t subjects = 0;     // subjects with at least one event
  std::uint64_t version_sum = 0;  // of the last version of each subject
};

// The events of the benchmark, one after another; the same for the same options.
class EventSequence {
 public:
  explicit EventSequence(SequenceOptions options);
  GeneratedEvent next();
  Expected expected() const;

 private:
  std::uint64_t random();
  std::string uuid();

  SequenceOptions options_;
  std::uint64_t state_;
  std::uint64_t keys_ = 0;
  std::vector<std::int64_t> versions_;
  std::deque<GeneratedEvent> recent_;  // what a duplicate may repeat
};

// The event as the outbox of a producer would publish it: about 500 bytes.
std::string envelope(const GeneratedEvent& event, const std::string& event_name, std::int64_t published_us);

}  // namespace cutover::bench
