#include "runtime/postgres/outbox_store.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <stdexcept>

#include "runtime/postgres/batch_transaction.h"
#include "runtime/postgres/headers.h"
#include "runtime/postgres/parameters.h"

namespace cutover::postgres {
namespace {

// Timers that are due become ordinary rows; their time stays readable as the time they were inserted for.
constexpr std::string_view kFireTimersAndLockShards = R"sql(
WITH fired AS (
  UPDATE cutover.outbox SET available_at = NULL, created_at = available_at
  WHERE outbox_id IN (SELECT outbox_id FROM cutover.outbox WHERE published_at IS NULL AND available_at <= now()
                      ORDER BY available_at LIMIT 1000 FOR UPDATE SKIP LOCKED)
  RETURNING 1)
SELECT shard, (SELECT count(*) FROM fired) FROM generate_series(0, 15) shard
WHERE pg_try_advisory_xact_lock(cutover.lock_class_relay(), shard))sql";

// What is read per priority starts at $4: below it lie index entries of rows that have left and that no vacuum has removed
// yet, a million after a rebuild. Candidates by priority and by age; then all earlier rows of their keys, so that a key's rows never overtake each other.
// A later row that was left out just waits for the next round. (The odd conditions name the index that is meant.)
constexpr std::string_view kTake = R"sql(
WITH urgent AS (
  SELECT c.outbox_id, c.key FROM generate_series(0, 9) p (priority) CROSS JOIN LATERAL (
    SELECT outbox_id, key FROM cutover.outbox
    WHERE num_nulls(published_at, available_at) = 2 AND priority = p.priority::smallint AND outbox_id >= $4::bigint
      AND shard = ANY ($1::bigint[]) AND key NOT IN (SELECT unnest($3::text[]))
    ORDER BY outbox_id LIMIT ($2::bigint * 3 + 3) / 4) c
  ORDER BY p.priority, c.outbox_id LIMIT ($2::bigint * 3 + 3) / 4),
oldest AS (
  SELECT outbox_id, key FROM cutover.outbox
  WHERE published_at IS NULL AND available_at IS NULL AND outbox_id >= $4::bigint
    AND shard = ANY ($1::bigint[]) AND key NOT IN (SELECT unnest($3::text[]))
  ORDER BY outbox_id LIMIT $2::bigint / 4),
reach AS (
  SELECT key, max(outbox_id) AS upto FROM (SELECT * FROM urgent UNION ALL SELECT * FROM oldest) c GROUP BY key)
SELECT o.outbox_id, o.message_id, o.subject, o.key, o.payload, o.headers, o.schedule, o.timer_key,
       o.created_at, o.priority
FROM reach r CROSS JOIN LATERAL (
  SELECT * FROM cutover.outbox w
  WHERE w.key = r.key AND w.outbox_id <= r.upto AND coalesce(w.published_at, w.available_at) IS NULL
  ORDER BY w.outbox_id LIMIT $2::bigint) o
ORDER BY o.outbox_id)sql";

constexpr std::string_view kPublished = R"sql(
UPDATE cutover.outbox o SET published_at = clock_timestamp(), stream = p.stream, sequence = p.sequence, error = NULL
FROM unnest($1::bigint[], $2::text[], $3::bigint[]) p (outbox_id, stream, sequence) WHERE o.outbox_id = p.outbox_id)sql";

constexpr std::string_view kFailed = R"sql(
UPDATE cutover.outbox o SET attempts = o.attempts + 1, error = p.error
FROM unnest($1::bigint[], $2::text[]) p (outbox_id, error) WHERE o.outbox_id = p.outbox_id)sql";

// now(), not clock_timestamp(): what changes within a statement is no condition of an index, and all rows that are kept would be read.
constexpr std::string_view kKept = R"sql(
SELECT outbox_id, message_id, stream, sequence, published_at FROM cutover.outbox
WHERE published_at IS NOT NULL AND published_at <= now() - make_interval(secs => $3::double precision)
  AND (published_at, outbox_id) > ($4::text::timestamptz, $1::bigint)
ORDER BY published_at, outbox_id LIMIT $2::bigint)sql";

// Each part reads its own index. The oldest is among the first that were written, but for timers that have just fired.
constexpr std::string_view kDepth = R"sql(
SELECT (SELECT count(*) FROM cutover.outbox WHERE published_at IS NULL AND available_at IS NULL),
       (SELECT count(*) FROM cutover.outbox WHERE published_at IS NULL AND available_at IS NOT NULL),
       coalesce(extract(epoch FROM clock_timestamp() - (
         SELECT min(o.created_at) FROM (SELECT created_at FROM cutover.outbox WHERE published_at IS NULL AND available_at IS NULL
                                        ORDER BY outbox_id LIMIT 100) o)), 0)::double precision)sql";

// A bytea in its text form, \x and two digits a byte.
std::string bytes_of(std::string_view text) {
  auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 2; i + 1 < text.size(); i += 2)
    bytes.push_back(static_cast<char>(digit(text[i]) << 4 | digit(text[i + 1])));
  return bytes;
}

// A transaction that took its row numbers long ago may commit them now, and timers are old rows: such rows are found by a
// look at everything.
constexpr std::chrono::seconds kLookAtAllEvery{1};  // and at most a twentieth of the time: beside long transactions it takes longer
constexpr std::int64_t kLateRows = 10'000;  // found at once

}  // namespace

PgOutboxStore::PgOutboxStore(ConnectionOptions options)
    : connection_(std::move(options)), interrupted_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (interrupted_ < 0) throw std::runtime_error("eventfd: out of file descriptors");
}

PgOutboxStore::~PgOutboxStore() { ::close(interrupted_); }

void PgOutboxStore::ensure_connected() {
  if (connection_.connected()) return;
  connection_.connect();
  connection_.run("LISTEN cutover_outbox");
}

std::vector<OutboxEntry> PgOutboxStore::take(std::size_t rows_max, std::span<const std::string_view> halted) {
  ensure_connected();
  connection_.queue("BEGIN ISOLATION LEVEL READ COMMITTED");
  connection_.queue("SET LOCAL enable_sort = off");  // without statistics the planner would sort the whole backlog
  auto shards = connection_.run(kFireTimersAndLockShards);
  std::vector<std::int64_t> mine;
  for (std::size_t i = 0; i < shards->size(); ++i) mine.push_back(shards->integer(i, 0));
  std::vector<OutboxEntry> entries;
  if (!mine.empty()) {
    auto now = std::chrono::steady_clock::now();
    bool all = shards->integer(0, 1) > 0 || now >= next_look_at_all_;
    auto rows = connection_.run(kTake, {std::span<const std::int64_t>(mine), static_cast<std::int64_t>(rows_max), halted, all ? 0 : from_});
    if (all) {
      auto end = std::chrono::steady_clock::now();
      next_look_at_all_ = end + std::max<std::chrono::steady_clock::duration>(kLookAtAllEvery, 20 * (end - now));
    }
    if (rows->size() > 0) from_ = std::max<std::int64_t>(0, rows->integer(0, 0) - kLateRows);
    entries.reserve(rows->size());
    for (std::size_t i = 0; i < rows->size(); ++i) {
      OutboxEntry& entry = entries.emplace_back();
      entry.id = rows->integer(i, 0);
      entry.message_id = rows->text(i, 1);
      entry.subject = rows->text(i, 2);
      entry.key = rows->text(i, 3);
      entry.payload = bytes_of(rows->text(i, 4));
      entry.headers = headers_from_json(rows->text(i, 5));
      entry.schedule = rows->text(i, 6);
      entry.timer_key = rows->text(i, 7);
      if (!entry.timer_key.empty()) entry.fired_at = parse_timestamp(rows->text(i, 8));
      entry.priority = static_cast<int>(rows->integer(i, 9));
    }
  }
  if (entries.empty()) {
    connection_.queue("COMMIT");
    connection_.flush();
  }
  return entries;
}

void PgOutboxStore::finish(std::span<const OutboxOutcome> outcomes, std::span<const OutboxRow> rearmed) {
  std::vector<std::int64_t> stored, sequences, failed;
  std::vector<std::string_view> streams, errors;
  for (const OutboxOutcome& outcome : outcomes) {
    if (outcome.ack.stored) {
      stored.push_back(outcome.id);
      streams.push_back(outcome.ack.stream);
      sequences.push_back(static_cast<std::int64_t>(outcome.ack.sequence));
    } else {
      failed.push_back(outcome.id);
      errors.push_back(outcome.ack.error);
    }
  }
  if (!stored.empty())
    connection_.queue(kPublished, {std::span<const std::int64_t>(stored), std::span<const std::string_view>(streams),
                                   std::span<const std::int64_t>(sequences)});
  if (!failed.empty())
    connection_.queue(kFailed, {std::span<const std::int64_t>(failed), std::span<const std::string_view>(errors)});
  queue_outbox_rows(connection_, {}, rearmed);
  connection_.queue("COMMIT");
  connection_.flush();
}

void PgOutboxStore::abandon() noexcept { connection_.rollback(); }

std::vector<OutboxKept> PgOutboxStore::kept(std::int64_t after, std::size_t rows_max, std::chrono::milliseconds age) {
  ensure_connected();
  if (after == 0) kept_at_ = "-infinity";
  auto rows = connection_.run(kKept, {after, static_cast<std::int64_t>(rows_max), std::chrono::duration<double>(age).count(),
                                      std::string_view(kept_at_)});
  if (rows->size() > 0) kept_at_ = rows->text(rows->size() - 1, 4);
  std::vector<OutboxKept> kept;
  for (std::size_t i = 0; i < rows->size(); ++i)
    kept.push_back({rows->integer(i, 0), std::string(rows->text(i, 1)), std::string(rows->text(i, 2)),
                    static_cast<std::uint64_t>(rows->integer(i, 3))});
  return kept;
}

void PgOutboxStore::reopen(std::span<const std::int64_t> ids) {
  ensure_connected();
  next_look_at_all_ = {};
  connection_.run("UPDATE cutover.outbox SET published_at = NULL, stream = NULL, sequence = NULL WHERE outbox_id = ANY ($1::bigint[])", {ids});
}

void PgOutboxStore::remove(std::span<const std::int64_t> ids) {
  ensure_connected();
  connection_.run("DELETE FROM cutover.outbox WHERE outbox_id = ANY ($1::bigint[])", {ids});
}

OutboxDepth PgOutboxStore::depth() {
  ensure_connected();
  connection_.queue("BEGIN");
  connection_.queue("SET LOCAL enable_seqscan = off");  // to the planner a queue looks empty, and its table small
  auto rows = connection_.run(kDepth);
  connection_.queue("COMMIT");
  connection_.flush();
  return {static_cast<std::size_t>(rows->integer(0, 0)), static_cast<std::size_t>(rows->integer(0, 1)),
          std::chrono::milliseconds(static_cast<std::int64_t>(rows->number(0, 2) * 1000))};
}

bool PgOutboxStore::arm(const OutboxRow& row) {
  ensure_connected();
  std::string available = timestamp_text(row.available_at.value());
  return connection_.run(R"sql(
INSERT INTO cutover.outbox (message_id, event_id, subject, key, payload, priority, available_at, timer_key, schedule)
VALUES ($1::text, nullif($2::text, ''), $3::text, $4::text, convert_to($5::text, 'UTF8'), $6::bigint, $7::text::timestamptz, $8::text,
        nullif($9::text, '')) ON CONFLICT DO NOTHING)sql",
                         {std::string_view(row.message_id), std::string_view(row.event_id), std::string_view(row.subject),
                          std::string_view(row.key), std::string_view(row.payload), std::int64_t{row.priority},
                          std::string_view(available), std::string_view(row.timer_key), std::string_view(row.schedule)})
             ->affected() == 1;
}

void PgOutboxStore::wait(Deadline deadline, std::stop_token stop) {
  ensure_connected();
  std::stop_callback wake(stop, [this] { interrupt(); });
  connection_.wait_notification(deadline, interrupted_);
  std::uint64_t count;
  [[maybe_unused]] auto read = ::read(interrupted_, &count, sizeof count);
}

void PgOutboxStore::interrupt() noexcept {
  std::uint64_t one = 1;
  [[maybe_unused]] auto written = ::write(interrupted_, &one, sizeof one);
}

}  // namespace cutover::postgres
