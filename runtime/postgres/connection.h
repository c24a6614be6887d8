#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/contract/transaction.h"

struct pg_conn;
struct pg_result;

namespace cutover::postgres {

struct ConnectionOptions {
  std::string url;                // libpq URL or key=value string; several hosts are fine
  std::string password;           // empty: as libpq finds it (PGPASSFILE, ...)
  std::string application_name = "cutover";
  std::string search_path = "serving, public";
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds statement_timeout{30'000};
};

struct ResultDeleter {
  void operator()(pg_result* result) const noexcept;
};
using Result = std::unique_ptr<pg_result, ResultDeleter>;
std::unique_ptr<Rows> rows_of(Result result);
// Throws StatementError, TransactionConflict, ClaimRefused or DependencyDown with the message and hint of a failed statement and
// the statement's beginning: enough to find it.
[[noreturn]] void throw_failure(const pg_result* result, const std::string& sql);

// One connection in libpq's pipeline mode: statements queue up and leave together, so that BEGIN and COMMIT cost no round
// trip of their own. Statements are prepared once per text. One thread. Nothing reconnects silently: a connection that
// failed throws DependencyDown until `connect` is called again, and then all session state is new.
class Connection {
 public:
  explicit Connection(ConnectionOptions options);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Throws DependencyDown naming host, database and cause.
  void connect();
  void disconnect() noexcept;
  bool connected() const noexcept;
  // Grows with every successful connect.
  std::uint64_t generation() const noexcept { return generation_; }

  // Queues a statement; the result is thrown away, but an error of it is thrown by the next `run` or `flush`.
  void queue(std::string_view sql, std::span<const Param> parameters);
  void queue(std::string_view sql, std::initializer_list<Param> parameters = {}) {
    queue(sql, std::span<const Param>(parameters.begin(), parameters.size()));
  }
  // Sends what is queued and this statement; returns the result of this one.
  // Throws StatementError, TransactionConflict, ClaimRefused or DependencyDown: the first error of the queue.
  std::unique_ptr<Rows> run(std::string_view sql, std::span<const Param> parameters);
  std::unique_ptr<Rows> run(std::string_view sql, std::initializer_list<Param> parameters = {}) {
    return run(sql, std::span<const Param>(parameters.begin(), parameters.size()));
  }
  // Sends what is queued and waits for it.
  void flush();
  // Rolls back whatever is open; drops the connection when that fails.
  void rollback() noexcept;

  // Different search paths keep different plans: names the one that unqualified tables are resolved by, so that a prepared
  // statement never flips between schemas. Takes effect by `SET LOCAL` in the transaction at hand.
  void local_search_path(std::string_view path);
  // The transaction ended: the path of the options holds again.
  void reset_search_path() noexcept { path_ = 0; }

  // Sleeps until a NOTIFY arrives on a channel that was LISTENed to, the deadline, or `interrupt_fd` can be read; true
  // for a NOTIFY.
  bool wait_notification(std::chrono::steady_clock::time_point deadline, int interrupt_fd);

 private:
  void send(std::string_view sql, std::span<const Param> parameters);
  Result collect(bool wanted);
  void wait_socket(bool for_write, std::chrono::steady_clock::time_point deadline);
  [[noreturn]] void lost(const std::string& doing);

  struct Pending {
    std::string sql;       // for error texts
    std::string prepares;  // key into prepared_, empty for an execution
  };

  ConnectionOptions options_;
  pg_conn* connection_ = nullptr;
  std::uint64_t generation_ = 0;
  std::vector<std::string> paths_;  // search paths seen; the first is that of the options
  std::size_t path_ = 0;            // the one in force
  std::unordered_map<std::string, std::string> prepared_;  // path index and text -> statement name
  std::size_t names_ = 0;
  std::vector<Pending> pending_;  // sent, results not read yet
};

// Whether an SQLSTATE says that the dependency is at fault, or that the transaction lost against another one.
bool is_dependency_state(std::string_view sqlstate) noexcept;
bool is_conflict_state(std::string_view sqlstate) noexcept;

}  // namespace cutover::postgres
