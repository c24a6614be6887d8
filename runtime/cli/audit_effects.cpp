#include "runtime/cli/audit_effects.h"

#include <map>

#include "runtime/nats/publisher.h"

namespace cutover::cli {
namespace {

using postgres::PublishedEvent;

constexpr std::size_t kPage = 10'000;
constexpr std::chrono::seconds kReadLimit{60};

// Those that their stream should hold and does not.
std::vector<PublishedEvent> missing_of(const std::vector<PublishedEvent>& events, JetStream& jetstream,
                                       NatsPublisher& publisher) {
  std::map<std::string, std::vector<const PublishedEvent*>> by_stream;
  for (const PublishedEvent& event : events) by_stream[event.stream].push_back(&event);
  std::vector<PublishedEvent> missing;
  for (const auto& [stream, published] : by_stream) {
    std::vector<std::optional<std::string>> ids(published.size());
    if (jetstream.admin().stream(stream)) {
      std::vector<std::uint64_t> sequences;
      for (const PublishedEvent* event : published) sequences.push_back(event->sequence);
      ids = publisher.message_ids(stream, sequences, std::chrono::steady_clock::now() + kReadLimit);
    }
    // Asked behind the messages, so that what expired meanwhile is known to have.
    const auto info = jetstream.admin().stream(stream);
    if (info && info->value("/config/retention"_json_pointer, std::string()) == "workqueue") continue;
    const auto first = info ? info->value("/state/first_seq"_json_pointer, std::uint64_t{0}) : 0;
    for (std::size_t i = 0; i < published.size(); ++i)
      if (ids[i] != published[i]->message_id && published[i]->sequence >= first)
        missing.push_back(*published[i]);
  }
  return missing;
}

}  // namespace

EffectsAudit audit_effects(postgres::AuditOutbox& outbox, JetStream& jetstream,
                           const std::optional<Redrive>& redrive, const AuditProgress& progress) {
  EffectsAudit audit;
  NatsPublisher publisher(jetstream.connection());
  for (std::int64_t after = 0;;) {
    const auto page = outbox.published(after, kPage);
    if (page.empty()) break;
    after = page.back().outbox_id;
    audit.published += page.size();
    // The relay may have removed a row, or found the loss itself, in the meantime.
    auto missing = missing_of(page, jetstream, publisher);
    if (!missing.empty()) missing = missing_of(outbox.still_published(missing), jetstream, publisher);
    audit.missing.insert(audit.missing.end(), missing.begin(), missing.end());
    progress("outgoing events", audit.published, audit.published);
  }
  if (redrive && !audit.missing.empty())
    audit.redriven = outbox.reopen(audit.missing, redrive->actor, redrive->reason);
  audit.waiting = outbox.waiting(kWaitingLimit);
  return audit;
}

}  // namespace cutover::cli
