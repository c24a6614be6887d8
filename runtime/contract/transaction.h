#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/contract/event.h"

namespace cutover {

// One SQL parameter. Views must live until the call returns. Arrays may be empty, and hold no nulls.
struct Null {};
using Param = std::variant<Null, bool, std::int64_t, double, std::string_view, Instant,
                           std::span<const std::int64_t>, std::span<const double>,
                           std::span<const std::string_view>, std::span<const Instant>>;

// The result of one statement: text of each cell, row by row. Owns its memory.
class Rows {
 public:
  virtual ~Rows() = default;
  virtual std::size_t size() const = 0;      // rows returned
  virtual std::size_t affected() const = 0;  // rows inserted, updated, deleted or selected
  virtual bool is_null(std::size_t row, std::size_t column) const = 0;
  // PostgreSQL's text form; empty for null.
  virtual std::string_view text(std::size_t row, std::size_t column) const = 0;

  // Throws std::invalid_argument when the cell is null or not such a number.
  std::int64_t integer(std::size_t row, std::size_t column) const;
  double number(std::size_t row, std::size_t column) const;
  bool boolean(std::size_t row, std::size_t column) const { return text(row, column) == "t"; }
};

// An event that a worker sends. The runtime fills in event_id, occurred_at, producer, actor, correlation and causation
// from the event that caused it; it leaves when the transaction commits.
struct Outgoing {
  std::string event_name;
  int event_version = 1;
  std::string routing_token;  // appended to the NATS subject, may be empty
  std::string subject_type;
  std::string subject_id;  // also the ordering key
  std::int64_t subject_version = 0;
  std::string idempotency_key;  // 1..200 bytes; the same work must always get the same key
  std::string payload = "{}";   // a JSON object
  int priority = 5;             // 0 leaves first, 9 last
  std::optional<Instant> available_at;  // in the future: a durable timer
  std::string timer_key;                // with available_at: for cancel_timer; a second timer of a key replaces the first
};

// The one PostgreSQL transaction of a batch: rows, ledger and outgoing events commit together. Unqualified table names
// resolve to schema `serving`, or `shadow` while the worker is compared; `app` must be named. Not thread safe.
class Transaction {
 public:
  virtual ~Transaction() = default;
  // Runs one statement, prepared once per connection.
  //   parameters  $1..$n; types are those that the statement declares, so cast: `$1::bigint[]`
  //   throws      StatementError; the transaction is then dead: let it pass
  virtual std::unique_ptr<Rows> query(std::string_view sql, std::initializer_list<Param> parameters = {}) = 0;
  // Runs one statement whose result nobody needs, without waiting for it: it saves a round trip. What it fails with is
  // thrown by the next query, or at the commit.
  virtual void execute(std::string_view sql, std::initializer_list<Param> parameters = {}) = 0;
  // Writes an outgoing event; `cause` is the event it follows from.
  virtual void emit(const Event& cause, Outgoing outgoing) = 0;
  // Removes a timer that has not fired. Does nothing without one.
  virtual void cancel_timer(std::string_view timer_key) = 0;
  // Start of the transaction by the runtime's clock.
  virtual Instant now() const = 0;
};

// A statement that failed. `sqlstate` is PostgreSQL's five characters, empty when the connection was lost.
class StatementError : public std::runtime_error {
 public:
  StatementError(std::string state, const std::string& what) : std::runtime_error(what), sqlstate(std::move(state)) {}
  std::string sqlstate;
};

}  // namespace cutover
