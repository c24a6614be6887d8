#include "fault/steady_load.h"

#include <algorithm>
#include <map>
#include <random>

namespace cutover::test {
namespace {

using namespace std::chrono_literals;

constexpr auto kTick = 5ms;
constexpr auto kAckLimit = 2s;

}  // namespace

Sending message_of(const SentEvent& sent, const std::string& event_name) {
  EventDraft event;
  event.event_name = event_name;
  event.subject_id = sent.key;
  event.subject_version = sent.version;
  event.idempotency_key = sent.idempotency_key();
  if (sent.copy) event.event_id = uuid_of("copy of " + event.idempotency_key);
  return sending(event, sent.version % 7 == 0 ? "" : sent.key);
}

SteadyLoad::SteadyLoad(const std::string& nats_url, Plan plan)
    : plan_(std::move(plan)), broker_(nats_url), thread_([this](std::stop_token stop) {
        try {
          run(stop);
        } catch (...) {
          failure_ = std::current_exception();
        }
      }) {}

SteadyLoad::~SteadyLoad() = default;

std::size_t SteadyLoad::expected() const {
  return plan_.events + static_cast<std::size_t>(static_cast<double>(plan_.events) * plan_.copies);
}

const std::vector<SentEvent>& SteadyLoad::finish() {
  thread_.join();
  if (failure_) std::rethrow_exception(failure_);
  return sent_;
}

void SteadyLoad::run(std::stop_token stop) {
  std::mt19937 random(plan_.seed);
  std::bernoulli_distribution twice(plan_.copies);
  std::vector<std::int64_t> versions(plan_.subjects);
  std::multimap<std::size_t, SentEvent> later;  // copies, by the number of events after which they are sent
  std::size_t made = 0, sent = 0;
  const auto began = std::chrono::steady_clock::now();
  std::vector<SentEvent> chunk;
  while (made < plan_.events || !later.empty()) {
    if (stop.stop_requested()) return;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    const auto due = static_cast<std::size_t>(seconds * plan_.per_second);
    chunk.clear();
    while (sent + chunk.size() < due && chunk.size() < 500 && (made < plan_.events || !later.empty())) {
      if (!later.empty() && (later.begin()->first <= made || made == plan_.events)) {
        chunk.push_back(later.begin()->second);
        later.erase(later.begin());
        continue;
      }
      const std::size_t subject = random() % plan_.subjects;
      chunk.push_back({"s" + std::to_string(subject), ++versions[subject], false, {}});
      ++made;
      if (!twice(random)) continue;
      SentEvent copy = chunk.back();
      copy.copy = true;
      // Next to it, or up to two seconds behind it.
      later.emplace(made + random() % (random() % 2 == 0 ? 10 : 4'000), copy);
    }
    if (chunk.empty()) {
      std::this_thread::sleep_for(kTick);
      continue;
    }
    if (!send(chunk, stop)) return;
    sent += chunk.size();
  }
  rate_ = static_cast<double>(sent) /
          std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

// Until the broker has stored all of them; false when it is to stop.
bool SteadyLoad::send(std::vector<SentEvent>& chunk, std::stop_token stop) {
  std::vector<Sending> messages;
  const auto now = std::chrono::system_clock::now();
  for (SentEvent& event : chunk) {
    event.at = now;
    messages.push_back(message_of(event, plan_.event_name));
  }
  std::vector<Publication> publications;
  for (const Sending& message : messages) {
    Publication& p = publications.emplace_back();
    p.subject = message.subject;
    p.payload = message.data;
    p.message_id = message.message_id;
    for (const auto& [name, value] : message.headers) p.headers.push_back({name, value});
  }
  for (std::size_t open = chunk.size(); open > 0 && !stop.stop_requested();) {
    // All of them again: what is stored already keeps its sequence.
    const std::vector<PublishAck> acks =
        broker_.publisher.publish(publications, std::chrono::steady_clock::now() + kAckLimit);
    open = static_cast<std::size_t>(
        std::count_if(acks.begin(), acks.end(), [](const PublishAck& ack) { return !ack.stored; }));
    if (open > 0) continue;
    for (std::size_t i = 0; i < chunk.size(); ++i) {
      sent_.resize(std::max<std::size_t>(sent_.size(), acks[i].sequence));
      sent_[acks[i].sequence - 1] = chunk[i];
    }
    stored_ += chunk.size();
  }
  return !stop.stop_requested();
}

}  // namespace cutover::test
