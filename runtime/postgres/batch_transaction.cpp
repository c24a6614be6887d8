#include "runtime/postgres/batch_transaction.h"

#include <map>
#include <nlohmann/json.hpp>

#include "runtime/policy/error_group.h"
#include "runtime/postgres/headers.h"

namespace cutover::postgres {
namespace {

constexpr std::string_view kServingPath = "serving, public";
constexpr std::string_view kShadowPath = "shadow, public";

constexpr std::string_view kClaim = R"sql(
SELECT serving, shadow FROM cutover.claim($1::text, 'worker', $2::text, $3::text, $4::bigint::integer,
  $5::bigint[], $6::text[], $7::text[], $8::text[], $9::bigint[], $10::bigint[]))sql";

constexpr std::string_view kClaimShadow = R"sql(
SELECT cutover.claim_shadow($1::text, $2::text, $3::bigint::integer, $4::bigint[], $5::text[], $6::text[], $7::text[], $8::bigint[],
  $9::bigint[]))sql";

constexpr std::string_view kSettle = R"sql(
SELECT cutover.settle($1::text, $2::text, $3::text, $4::bigint::integer, $5::bigint[], $6::text[], $7::text[], $8::text[],
  $9::bigint[], $10::bigint[], $11::text))sql";

constexpr std::string_view kOutbox = R"sql(
INSERT INTO cutover.outbox (message_id, event_id, subject, key, payload, headers, priority, available_at, timer_key, schedule, worker_id)
SELECT o.message_id, nullif(o.event_id, ''), o.subject, o.key, convert_to(o.payload, 'UTF8'), nullif(o.headers, '')::jsonb, o.priority,
       CASE WHEN o.available_at > '-infinity' THEN o.available_at END, nullif(o.timer_key, ''), nullif(o.schedule, ''),
       (SELECT w.worker_id FROM cutover.workers w WHERE w.worker = $1::text)
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[]::timestamptz[], $10::text[], $11::text[])
  WITH ORDINALITY o (message_id, event_id, subject, key, payload, headers, priority, available_at, timer_key, schedule, ord)
ORDER BY o.ord)sql";

// A timer that another transaction has just armed is replaced like any other.
constexpr std::string_view kReplaceOnConflict = R"sql(
ON CONFLICT (timer_key) WHERE published_at IS NULL AND timer_key IS NOT NULL DO UPDATE
SET message_id = excluded.message_id, event_id = excluded.event_id, subject = excluded.subject, key = excluded.key,
    payload = excluded.payload, headers = excluded.headers, priority = excluded.priority, available_at = excluded.available_at,
    schedule = excluded.schedule, worker_id = excluded.worker_id, created_at = excluded.created_at, attempts = 0, error = NULL)sql";

constexpr std::string_view kCancelTimers = R"sql(
DELETE FROM cutover.outbox WHERE timer_key = ANY ($1::text[]) AND published_at IS NULL)sql";

constexpr std::string_view kDeadLetter = R"sql(
SELECT cutover.write_dead_letter($1::text, 'worker', $2::boolean, $3::text, $4::text, $5::text, $6::bigint::integer, $7::bigint, $8::text,
  $9::text, $10::text, $11::text, $12::text, $13::text, $14::text, $15::bigint, $16::text, $17::text, $18::text, $19::bigint::integer,
  $20::timestamptz, $21::timestamptz, $22::jsonb, decode($23::text, 'hex')))sql";

constexpr std::string_view kForget = R"sql(
DELETE FROM cutover.attempts a USING cutover.workers w, cutover.streams s
WHERE w.worker = $1::text AND s.stream = $2::text AND s.incarnation = $3::bigint AND a.worker_id = w.worker_id
  AND a.stream_id = s.stream_id AND a.sequence = ANY ($4::bigint[])
  -- Deaths of a process are noted in the row of serving, whichever ledger it worked on.
  AND (a.shadow = $5::boolean OR (NOT a.shadow AND a.attempts = 0)))sql";

std::vector<Claim> to_claims(std::string_view letters) {
  std::vector<Claim> claims;
  claims.reserve(letters.size());
  for (char letter : letters) claims.push_back(static_cast<Claim>(letter));
  return claims;
}

// A view of nothing would be null.
std::string_view present(std::string_view text) { return text.data() ? text : std::string_view(""); }

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (unsigned char byte : bytes) {
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  return out;
}

void queue_rows(Connection& connection, std::string_view statement, std::string_view worker, std::span<const OutboxRow* const> rows) {
  if (rows.empty()) return;
  std::vector<std::string_view> message_ids, event_ids, subjects, keys, payloads, headers, available, timers, schedules;
  std::vector<std::int64_t> priorities;
  std::vector<std::string> texts;
  texts.reserve(rows.size() * 2);
  for (const OutboxRow* next : rows) {
    const OutboxRow& row = *next;
    message_ids.push_back(row.message_id);
    event_ids.push_back(row.event_id);
    subjects.push_back(row.subject);
    keys.push_back(row.key);
    payloads.push_back(row.payload);
    headers.push_back(row.headers.empty() ? std::string_view("") : texts.emplace_back(headers_to_json(row.headers)));
    priorities.push_back(row.priority);
    available.push_back(row.available_at ? std::string_view(texts.emplace_back(timestamp_text(*row.available_at)))
                                         : std::string_view("-infinity"));
    timers.push_back(row.timer_key);
    schedules.push_back(row.schedule);
  }
  auto view = [](const std::vector<std::string_view>& v) { return std::span<const std::string_view>(v); };
  connection.queue(statement, {worker, view(message_ids), view(event_ids), view(subjects), view(keys), view(payloads),
                             view(headers), std::span<const std::int64_t>(priorities), view(available), view(timers),
                             view(schedules)});
}

}  // namespace

void queue_outbox_rows(Connection& connection, std::string_view worker, std::span<const OutboxRow> rows) {
  std::vector<const OutboxRow*> plain;
  std::map<std::string_view, const OutboxRow*> timers;  // the last one of each key, sorted: two batches never wait for each other
  for (const OutboxRow& row : rows)
    if (row.timer_key.empty())
      plain.push_back(&row);
    else
      timers[row.timer_key] = &row;
  static const std::string replace_timers = std::string(kOutbox) + std::string(kReplaceOnConflict);
  std::vector<const OutboxRow*> last;
  for (const auto& [key, row] : timers) last.push_back(row);
  queue_rows(connection, kOutbox, worker, plain);
  queue_rows(connection, replace_timers, worker, last);
}

PgBatchTransaction::PgBatchTransaction(Connection& connection, const Identity& identity, bool& started)
    : connection_(connection), identity_(identity), started_(started) {}

PgBatchTransaction::~PgBatchTransaction() {
  if (begun_ && !committed_) connection_.rollback();
}

void PgBatchTransaction::begin() {
  if (begun_) return;
  begun_ = true;
  connection_.reset_search_path();
  connection_.queue("BEGIN ISOLATION LEVEL READ COMMITTED");
}

// The columns of a claim, which settle needs again.
void PgBatchTransaction::begin_claim(const Origin& origin, std::span<const ClaimItem> items) {
  begin();
  origin_ = origin;
  std::size_t mark_bytes = 0;
  for (const ClaimItem& item : items) mark_bytes += item.tenant_scope.size() + 1 + item.idempotency_key.size();
  mark_text_.reserve(mark_bytes);  // so that the views into it stay valid
  for (auto* numbers : {&sequences_, &versions_, &plans_}) numbers->reserve(items.size());
  for (auto* texts : {&event_ids_, &keys_, &marks_}) texts->reserve(items.size());
  for (const ClaimItem& item : items) {
    sequences_.push_back(static_cast<std::int64_t>(item.sequence));
    versions_.push_back(item.version);
    plans_.push_back(item.replay_plan);
    event_ids_.push_back(present(item.event_id));
    keys_.push_back(present(item.key));
    std::size_t start = mark_text_.size();
    if (!item.idempotency_key.empty()) mark_text_.append(item.tenant_scope).append(1, '\x1f').append(item.idempotency_key);
    bool marked = mark_text_.size() > start;
    marks_.push_back(marked ? std::string_view(mark_text_).substr(start) : std::string_view());
  }
}

Claims PgBatchTransaction::claim(const Origin& origin, std::span<const ClaimItem> items) {
  begin_claim(origin, items);
  auto rows = connection_.run(
      kClaim, {std::string_view(identity_.worker), std::string_view(identity_.instance), std::string_view(origin_.stream),
               std::int64_t{origin_.incarnation}, std::span<const std::int64_t>(sequences_),
               std::span<const std::string_view>(event_ids_), std::span<const std::string_view>(keys_),
               std::span<const std::string_view>(marks_), std::span<const std::int64_t>(versions_),
               std::span<const std::int64_t>(plans_)});
  return {to_claims(rows->text(0, 0)), to_claims(rows->text(0, 1))};
}

Claims PgBatchTransaction::claim_shadow(const Origin& origin, std::span<const ClaimItem> items) {
  begin_claim(origin, items);
  std::vector<std::int64_t> periods;
  for (const ClaimItem& item : items) periods.push_back(item.shadow_period);
  auto rows = connection_.run(
      kClaimShadow, {std::string_view(identity_.worker), std::string_view(origin_.stream), std::int64_t{origin_.incarnation},
                     std::span<const std::int64_t>(sequences_), std::span<const std::string_view>(event_ids_),
                     std::span<const std::string_view>(keys_), std::span<const std::string_view>(marks_),
                     std::span<const std::int64_t>(versions_), std::span<const std::int64_t>(periods)});
  return {std::vector<Claim>(items.size(), Claim::none), to_claims(rows->text(0, 0))};
}

// The claim's lock keeps it as it is until the commit.
const std::string& PgBatchTransaction::shadow_period() {
  if (shadow_period_.empty())
    shadow_period_ = connection_.run("SELECT cutover.shadow_period(worker_id)::text FROM cutover.workers WHERE worker = $1::text",
                                     {std::string_view(identity_.worker)})->text(0, 0);
  return shadow_period_;
}

void PgBatchTransaction::use_shadow(bool shadow) {
  begin();
  shadow_ = shadow;
  connection_.local_search_path(shadow ? kShadowPath : kServingPath);
}

std::unique_ptr<Rows> PgBatchTransaction::query(std::string_view sql, std::initializer_list<Param> parameters) {
  begin();
  return connection_.run(sql, parameters);
}

void PgBatchTransaction::execute(std::string_view sql, std::initializer_list<Param> parameters) {
  begin();
  connection_.queue(sql, parameters);
}

void PgBatchTransaction::enqueue(OutboxRow row) {
  begin();
  if (shadow_) {
    row.subject.insert(0, kShadowPrefix);
    if (!row.timer_key.empty()) row.timer_key.insert(0, "shadow:");
    row.headers.emplace_back("Cutover-For", identity_.worker);
    row.headers.emplace_back(kShadowPeriodHeader, shadow_period());
    row.priority = 9;
  }
  outgoing_ = true;
  outbox_.push_back(std::move(row));
  if (outbox_.size() >= 1'000) flush_outbox();
}

void PgBatchTransaction::flush_outbox() {
  queue_outbox_rows(connection_, identity_.worker, outbox_);
  outbox_.clear();
}

void PgBatchTransaction::cancel_timer(std::string_view timer_key) {
  begin();
  flush_outbox();
  std::string key = (shadow_ ? "shadow:" : "") + std::string(timer_key);
  std::string_view view = key;
  connection_.queue(kCancelTimers, {std::span<const std::string_view>(&view, 1)});
}

void PgBatchTransaction::settle(std::span<const Settlement> settlements) {
  std::string classes;
  for (Settlement settlement : settlements) classes.push_back(static_cast<char>(settlement));
  connection_.queue(kSettle, {std::string_view(identity_.worker), std::string_view(shadow_ ? "shadow" : "worker"),
                              std::string_view(origin_.stream), std::int64_t{origin_.incarnation},
                              std::span<const std::int64_t>(sequences_), std::span<const std::string_view>(event_ids_),
                              std::span<const std::string_view>(keys_), std::span<const std::string_view>(marks_),
                              std::span<const std::int64_t>(versions_), std::span<const std::int64_t>(plans_),
                              std::string_view(classes)});
}

void PgBatchTransaction::dead_letter(const DeadLetterRecord& letter) {
  outgoing_ = true;
  std::string headers = raw_headers_to_json(letter.message->headers);
  std::string payload = hex(letter.message->data);
  std::string error = error_text(letter.error);
  std::string group = error_group(error);
  std::string subject = error_text(letter.message->subject);  // any bytes are a subject to the broker
  connection_.queue(
      kDeadLetter,
      {std::string_view(identity_.worker), shadow_, std::string_view(identity_.instance), std::string_view(identity_.build),
       std::string_view(origin_.stream), std::int64_t{origin_.incarnation}, static_cast<std::int64_t>(letter.item.sequence),
       letter.item.event_id, letter.event_name, std::string_view(letter.lane), std::string_view(subject), letter.item.key,
       letter.item.tenant_scope, letter.item.idempotency_key, static_cast<std::int64_t>(letter.item.version),
       std::string_view(letter.kind), std::string_view(error), std::string_view(group), std::int64_t{letter.attempts},
       letter.first_failed_at ? Param(*letter.first_failed_at) : Param(Null{}), letter.message->published_at,
       std::string_view(headers), std::string_view(payload)});
}

int PgBatchTransaction::add_attempt(std::uint64_t sequence, std::string_view error) {
  begin();
  std::string text = error_text(error);
  auto rows = connection_.run(
      "SELECT cutover.add_attempt($1::text, $2::text, $3::bigint::integer, $4::bigint, $5::boolean, $6::text)",
      {std::string_view(identity_.worker), std::string_view(origin_.stream), std::int64_t{origin_.incarnation},
       static_cast<std::int64_t>(sequence), shadow_, std::string_view(text)});
  return static_cast<int>(rows->integer(0, 0));
}

void PgBatchTransaction::forget_attempts(std::span<const std::uint64_t> sequences) {
  std::vector<std::int64_t> numbers(sequences.begin(), sequences.end());
  connection_.queue(kForget, {std::string_view(identity_.worker), std::string_view(origin_.stream),
                              std::int64_t{origin_.incarnation}, std::span<const std::int64_t>(numbers), shadow_});
}

void PgBatchTransaction::commit() {
  begin();
  flush_outbox();
  if (outgoing_ && identity_.notify) connection_.queue("SELECT pg_notify('cutover_outbox', '')");
  if (started_)
    connection_.queue("DELETE FROM cutover.started WHERE instance = $1::text AND thread = $2::bigint",
                      {std::string_view(identity_.instance), std::int64_t{identity_.thread}});
  connection_.queue("COMMIT");
  connection_.flush();
  connection_.reset_search_path();
  committed_ = true;
  started_ = false;
}

}  // namespace cutover::postgres
