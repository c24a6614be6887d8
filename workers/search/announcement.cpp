#include "workers/search/announcement.h"

namespace cutover::search {

void announce(Transaction& tx, const Event& cause, const Changed& change, std::string_view origin, int priority) {
  Outgoing event;
  event.event_name = change.deleted ? "search.document_deleted" : "search.document_upserted";
  event.subject_type = "search_document";
  event.subject_id = document_id(change.source, change.id);
  event.subject_version = change.version;
  event.idempotency_key = event.subject_id + ":" + std::string(origin);
  event.payload = R"({"doc_id":")" + event.subject_id + R"(","kind":")" + change.kind + '"';
  event.payload += (change.source == Source::contact ? R"(,"contact_id":)" : R"(,"profile_id":)") + std::to_string(change.id);
  if (change.owner_id) event.payload += R"(,"owner_id":)" + std::to_string(*change.owner_id);
  event.payload += '}';
  event.priority = priority;
  tx.emit(cause, std::move(event));
}

std::string origin_of(const Place& place) {
  return std::string(place.stream) + "/" + std::to_string(place.incarnation) + "/" + std::to_string(place.sequence);
}

}  // namespace cutover::search
