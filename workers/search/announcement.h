#pragma once

#include <string_view>

#include "runtime/contract/event.h"
#include "runtime/contract/transaction.h"
#include "workers/search/documents.h"

namespace cutover::search {

// Outgoing events of live changes leave before those of bulk work.
inline constexpr int kLivePriority = 5;
inline constexpr int kBulkPriority = 8;

// Writes search.document_upserted or search.document_deleted, with ids only.
//   cause   the event that it follows from; one without an event id starts a chain of its own
//   origin  what tells this change of the document from its others: a place, a run; at most 120 bytes
void announce(Transaction& tx, const Event& cause, const Changed& change, std::string_view origin, int priority);

// CONTACT/1/42
std::string origin_of(const Place& place);

}  // namespace cutover::search
