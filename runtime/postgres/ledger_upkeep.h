#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "runtime/postgres/connection.h"

namespace cutover::postgres {

struct UpkeepOptions {
  std::chrono::milliseconds dedupe_horizon{std::chrono::days(7)};  // how long a key's repetition is recognised
  std::chrono::milliseconds settlement_keep{600'000};  // event ids of settled sequences are kept so long at least
  std::chrono::milliseconds note_keep{60'000};  // what earlier deliveries left about events that are settled by now
  std::int64_t slot_bytes_max = 64 << 20;              // size of the hot marks table that makes it rotate
  int rows_per_step = 5'000;
  std::chrono::milliseconds replay_timeout{300'000};  // a replay that nobody settled for so long is published again
};

// Open dead letters of one group, those that are being replayed included.
struct OpenLetters {
  std::string group;
  std::string kind;
  std::uint64_t count = 0;
};

// Keeps the ledger small: rotates and merges marks, expires them, compacts settlements. In short steps, each a transaction
// of its own that no batch waits for. Any number of processes may run it; one works, the others find the lock taken.
class LedgerUpkeep {
 public:
  LedgerUpkeep(ConnectionOptions connection, UpkeepOptions options);
  // One step. Returns true when there is more to do at once. Throws DependencyDown, TransactionConflict, StatementError.
  bool step();
  std::vector<OpenLetters> open_letters(const std::string& worker);

 private:
  Connection connection_;
  UpkeepOptions options_;
  std::optional<std::string> expire_after_;  // key where the running expiry stands
  std::chrono::steady_clock::time_point next_expiry_{};
};

}  // namespace cutover::postgres
