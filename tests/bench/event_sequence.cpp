#include "tests/bench/event_sequence.h"

#include <algorithm>

#include <fmt/format.h>

namespace cutover::bench {
namespace {

// A duplicate follows its first copy by at most this many distinct events: near enough to share a batch now
// and then.
constexpr std::size_t kDuplicateReach = 1'000;

std::uint64_t mixed(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace

EventSequence::EventSequence(SequenceOptions options)
    : options_(options), state_(mixed(options.seed)), versions_(options.subjects, 0) {}

// splitmix64: the same numbers on every platform, unlike the distributions of <random>.
std::uint64_t EventSequence::random() {
  return mixed(state_ += 0x9e3779b97f4a7c15u);
}

std::string EventSequence::uuid() {
  const std::uint64_t high = random(), low = random();
  return fmt::format("{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}", high >> 32, (high >> 16) & 0xffff, high & 0xfff,
                     (low >> 48) & 0xfff, low & 0xffff'ffff'ffff);
}

GeneratedEvent EventSequence::next() {
  if (!recent_.empty() && static_cast<int>(random() % 100) < options_.duplicate_percent) {
    GeneratedEvent copy = recent_[random() % recent_.size()];
    copy.event_id = uuid();
    return copy;
  }
  GeneratedEvent event;
  const std::uint32_t subject = static_cast<std::uint32_t>(random() % options_.subjects);
  event.event_id = uuid();
  event.idempotency_key =
      options_.random_keys ? uuid() : fmt::format("update-{:06}-{:010}", options_.seed, keys_);
  event.subject_id = fmt::format("{:08}", 10'000'000 + subject);
  event.version = ++versions_[subject];
  event.score = static_cast<std::int64_t>(random() % 101);
  ++keys_;
  recent_.push_back(event);
  if (recent_.size() > kDuplicateReach) recent_.pop_front();
  return event;
}

Expected EventSequence::expected() const {
  Expected expected{.keys = keys_};
  for (const std::int64_t version : versions_) {
    expected.subjects += version > 0 ? 1 : 0;
    expected.version_sum += static_cast<std::uint64_t>(version);
  }
  return expected;
}

std::string envelope(const GeneratedEvent& event, const std::string& event_name, std::int64_t published_us) {
  return fmt::format(
      R"({{"event_id":"{}","event_name":"{}","event_version":1,"occurred_at":"2026-01-05T09:00:00.123456Z",)"
      R"("producer":"monolith","actor":{{"actor_id":"u-{}","actor_type":"user"}},)"
      R"("subject":{{"subject_type":"profile","subject_id":"{}","version":{}}},)"
      R"("correlation_id":"req-{}","causation_id":"","idempotency_key":"{}","tenant_scope":"global",)"
      R"("payload":{{"profile_id":{},"owner_principal_id":{},"profile_class":"single","score":{},)"
      R"("published_us":{}}}}})",
      event.event_id, event_name, event.subject_id, event.subject_id, event.version, event.subject_id,
      event.idempotency_key, event.subject_id, event.subject_id, event.score, published_us);
}

}  // namespace cutover::bench
