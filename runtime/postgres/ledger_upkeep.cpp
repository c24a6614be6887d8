#include "runtime/postgres/ledger_upkeep.h"

namespace cutover::postgres {
namespace {

constexpr std::chrono::hours kExpiryEvery{6};

double seconds(std::chrono::milliseconds time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

LedgerUpkeep::LedgerUpkeep(ConnectionOptions connection, UpkeepOptions options)
    : connection_(std::move(connection)), options_(options) {}

bool LedgerUpkeep::step() {
  if (!connection_.connected()) connection_.connect();
  // Not at the start: a process that is started often would sweep all marks each time.
  if (next_expiry_ == std::chrono::steady_clock::time_point{}) next_expiry_ = std::chrono::steady_clock::now() + kExpiryEvery;
  try {
    connection_.queue("BEGIN");
    if (!connection_.run("SELECT pg_try_advisory_xact_lock(cutover.lock_class_upkeep(), 0)")->boolean(0, 0)) {
      connection_.run("COMMIT");
      return false;
    }
    std::int64_t rows = options_.rows_per_step;
    bool more = connection_.run("SELECT cutover.merge_marks($1::bigint::integer)", {rows})->integer(0, 0) == rows;
    more |= connection_.run("SELECT cutover.compact_settlements(make_interval(secs => $1::double precision), 500)",
                            {seconds(options_.settlement_keep)})->integer(0, 0) == 500;
    connection_.run("SELECT cutover.forget_settled(make_interval(secs => $1::double precision))", {seconds(options_.note_keep)});
    auto now = std::chrono::steady_clock::now();
    if (now >= next_expiry_) {
      auto next = connection_.run("SELECT cutover.expire_marks($1::text::uuid, $2::bigint::integer, make_interval(secs => $3::double precision))",
                                  {expire_after_ ? Param(std::string_view(*expire_after_)) : Param(Null{}), rows,
                                   seconds(options_.dedupe_horizon)});
      if (next->is_null(0, 0)) {
        expire_after_.reset();
        next_expiry_ = now + kExpiryEvery;
      } else {
        expire_after_ = std::string(next->text(0, 0));
        more = true;
      }
    }
    connection_.run("COMMIT");
    // In a transaction of its own: it takes the exclusive lock of every worker, for a moment.
    more |= connection_.run("SELECT cutover.rotate_marks($1::bigint)", {options_.slot_bytes_max})->boolean(0, 0);
    connection_.run("SELECT cutover.republish_replays(make_interval(secs => $1::double precision), 500)", {seconds(options_.replay_timeout)});
    return more;
  } catch (...) {
    connection_.rollback();
    throw;
  }
}

std::vector<OpenLetters> LedgerUpkeep::open_letters(const std::string& worker) {
  if (!connection_.connected()) connection_.connect();
  const auto rows = connection_.run(R"sql(
SELECT d.group_id, d.kind, count(*) FROM cutover.dead_letters d
WHERE d.worker_id = (SELECT worker_id FROM cutover.workers WHERE worker = $1::text) AND d.state IN ('open', 'replaying') AND NOT d.shadow
GROUP BY d.group_id, d.kind)sql",
                                    {std::string_view(worker)});
  std::vector<OpenLetters> groups;
  for (std::size_t i = 0; i < rows->size(); ++i)
    groups.push_back({std::string(rows->text(i, 0)), std::string(rows->text(i, 1)), static_cast<std::uint64_t>(rows->integer(i, 2))});
  return groups;
}

}  // namespace cutover::postgres
