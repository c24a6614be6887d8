#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/contract/transaction.h"
#include "workers/search/documents.h"

namespace cutover::search {

// Runs a function in a transaction of its own and commits it; throws what it throws, and then nothing was written. It may
// run the function again when the transaction lost against another one.
using InTransaction = std::function<void(const std::function<void(Transaction&)>&)>;

// A place on the way through everything that is or should be a document, in the order of keys: all contacts, all
// profiles, then the documents whose contact or profile is gone.
struct WalkPlace {
  enum class Phase { contacts, profiles, leftovers, done };
  Phase phase = Phase::contacts;
  std::int64_t id = 0;  // the last contact or profile behind us
  std::string doc_id;   // the last document behind us
};

// contacts | profiles | leftovers | done, and back; anything else throws std::invalid_argument.
std::string_view name_of(WalkPlace::Phase phase);
WalkPlace::Phase phase_named(std::string_view name);

// What lies between two places.
struct WalkStep {
  Targets contacts, profiles;
  std::vector<std::string> nameless;  // documents that name no contact and no profile
  std::size_t seen = 0;
  WalkPlace next;
};

// Takes a step of at most `count` keys.
//   owner  only this owner's; a document then counts as left over when its contact or profile is another owner's now
WalkStep walk(Transaction& tx, const WalkPlace& from, std::optional<std::int64_t> owner, std::size_t count);

// These documents as a step that leads nowhere.
WalkStep step_of(const std::vector<std::string>& names);

// About how many keys the whole way has.
std::int64_t walk_length(Transaction& tx, std::optional<std::int64_t> owner);

}  // namespace cutover::search
