#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/contract/transaction.h"

namespace cutover::search {

// The table that a document is made from.
enum class Source { contact, profile };

// contact:12, profile:7
std::string document_id(Source source, std::int64_t id);

struct DocumentKey {
  Source source = Source::contact;
  std::int64_t id = 0;
};
// The other way round; nothing for a name that no document can have.
std::optional<DocumentKey> parse_document_id(std::string_view doc_id);

// Documents of one source that may have changed, and the event that says so. The three have one length; `ids` ascends.
struct Targets {
  std::vector<std::int64_t> ids;
  std::vector<std::string_view> streams;  // empty: no event, the row keeps what it has
  std::vector<std::int64_t> sequences;

  void add(std::int64_t id, std::string_view stream, std::int64_t sequence) {
    ids.push_back(id);
    streams.push_back(stream);
    sequences.push_back(sequence);
  }
};

// A document that was written or deleted.
struct Changed {
  Source source = Source::contact;
  std::int64_t id = 0;
  bool deleted = false;
  std::string kind;                     // contact | profile | business
  std::optional<std::int64_t> owner_id;  // none where nothing may lead to the owner
  std::int64_t version = 0;             // grows with every change of the document
};

// Brings documents in step with the source rows as they are now: locks them, then reads the view and writes what differs.
//   tx       unqualified tables are those of `serving` or `shadow`; the locks last to its end
//   returns  what changed; nothing for documents that were right already
std::vector<Changed> project(Transaction& tx, const Targets& contacts, const Targets& profiles);

// Deletes documents that name no contact and no profile. Returns how many there were.
std::size_t delete_nameless(Transaction& tx, std::span<const std::string_view> doc_ids);

}  // namespace cutover::search
