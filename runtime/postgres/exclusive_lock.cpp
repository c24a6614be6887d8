#include "runtime/postgres/exclusive_lock.h"

#include <algorithm>

#include <fmt/format.h>

#include "runtime/engine/ports.h"

namespace cutover::postgres {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// In order of the number, as everybody who takes several of them does.
constexpr const char* kLock = R"sql(
SELECT count(pg_advisory_xact_lock(cutover.lock_class_worker(), w.worker_id)::text)
FROM (SELECT worker_id FROM cutover.workers WHERE worker = $1::text OR $1::text = '' ORDER BY worker_id) w)sql";

constexpr const char* kHolders = R"sql(
SELECT l.pid::bigint, coalesce(a.application_name, ''), coalesce(a.usename, ''),
  coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::double precision, coalesce(a.state, ''),
  left(regexp_replace(coalesce(a.query, ''), '\s+', ' ', 'g'), 200)
FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.pid <> pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.classid::bigint = cutover.lock_class_worker()
  AND ($1::text = '' OR l.objid::bigint = (SELECT worker_id FROM cutover.workers WHERE worker = $1::text))
GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY 4 DESC, 1)sql";

std::vector<Blocker> holders(Connection& connection, const std::string& worker) {
  const auto rows = connection.run(kHolders, {std::string_view(worker)});
  std::vector<Blocker> all;
  for (std::size_t i = 0; i < rows->size(); ++i)
    all.push_back({static_cast<int>(rows->integer(i, 0)), std::string(rows->text(i, 1)),
                   std::string(rows->text(i, 2)), rows->number(i, 3), std::string(rows->text(i, 4)),
                   std::string(rows->text(i, 5))});
  return all;
}

// False: not within the slice.
bool try_begin(Connection& connection, const std::string& worker, milliseconds slice) {
  const std::string timeout = std::to_string(slice.count()) + "ms";
  connection.queue("BEGIN ISOLATION LEVEL READ COMMITTED");
  connection.queue("SELECT set_config('lock_timeout', $1::text, true)", {std::string_view(timeout)});
  try {
    if (connection.run(kLock, {std::string_view(worker)})->integer(0, 0) == 0)
      throw StatementError("CU001",
                           "no worker is called " + worker + ". Do: run it once, or deploy the migrations");
    connection.queue("SELECT set_config('lock_timeout', '2s', true)");
    return true;
  } catch (const TransactionConflict&) {
    connection.rollback();
    return false;
  } catch (...) {
    connection.rollback();
    throw;
  }
}

}  // namespace

std::string to_text(const Blocker& b) {
  return fmt::format("pid {} ({}, {}): transaction open for {:.1f} s, {}: {}", b.pid,
                     b.application.empty() ? "no name" : b.application, b.user, b.age_seconds, b.state,
                     b.query);
}

void begin_exclusive(Connection& connection, const std::string& worker, const LockPatience& patience,
                     const Pause& pause) {
  const auto began = steady_clock::now();
  std::vector<Blocker> seen;
  double seen_after = 0;  // seconds of waiting
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(began + patience.limit - steady_clock::now());
    if (left <= milliseconds(0)) break;
    if (try_begin(connection, worker, std::min(patience.slice, left))) return;
    seen_after = std::chrono::duration<double>(steady_clock::now() - began).count();
    seen = holders(connection, worker);
    if (!pause(patience.pause))
      throw LockBusy("interrupted while waiting for the batches in flight", std::move(seen));
  }
  const double waited = std::chrono::duration<double>(patience.limit).count();
  // Who was there all the time is in the way; the others only came and went.
  std::erase_if(seen, [&](const Blocker& b) { return b.age_seconds < seen_after; });
  std::string what = fmt::format("the lock of {} was not free within {:.1f} s",
                                 worker.empty() ? "all workers" : worker, waited);
  for (const Blocker& blocker : seen) what += "; in the way is " + to_text(blocker);
  if (seen.empty()) what += "; no batch is that long, but they follow each other without a gap";
  throw LockBusy(what, std::move(seen));
}

std::size_t terminate(Connection& connection, std::span<const Blocker> blockers) {
  std::size_t ended = 0;
  for (const Blocker& blocker : blockers) {
    // The number may be another connection's by now: its transaction would be younger.
    const auto rows = connection.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1::bigint::integer "
        "AND extract(epoch FROM clock_timestamp() - xact_start) >= $2::double precision",
        {std::int64_t{blocker.pid}, blocker.age_seconds});
    if (rows->size() > 0 && rows->boolean(0, 0)) ++ended;
  }
  return ended;
}

}  // namespace cutover::postgres
