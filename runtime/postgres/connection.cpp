#include "runtime/postgres/connection.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "runtime/engine/ports.h"
#include "runtime/postgres/parameters.h"

namespace cutover::postgres {
namespace {

class PgRows final : public Rows {
 public:
  explicit PgRows(Result result) : result_(std::move(result)) {}
  std::size_t size() const override { return static_cast<std::size_t>(PQntuples(result_.get())); }
  std::size_t affected() const override {
    std::size_t count = 0;
    for (const char* digit = PQcmdTuples(result_.get()); *digit; ++digit) count = count * 10 + (*digit - '0');
    return count;
  }
  bool is_null(std::size_t row, std::size_t column) const override {
    return PQgetisnull(result_.get(), static_cast<int>(row), static_cast<int>(column)) != 0;
  }
  std::string_view text(std::size_t row, std::size_t column) const override {
    int r = static_cast<int>(row), c = static_cast<int>(column);
    return {PQgetvalue(result_.get(), r, c), static_cast<std::size_t>(PQgetlength(result_.get(), r, c))};
  }

 private:
  Result result_;
};

std::string trimmed(const char* text) {
  std::string line = text ? text : "";
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

// A prepared statement whose tables were changed since, or that the server no longer knows.
bool is_stale_plan(std::string_view state, std::string_view message) {
  return state == "26000" || (state == "0A000" && message.starts_with("cached plan"));
}

}  // namespace

void ResultDeleter::operator()(pg_result* result) const noexcept { PQclear(result); }

std::unique_ptr<Rows> rows_of(Result result) { return std::make_unique<PgRows>(std::move(result)); }

void throw_failure(const pg_result* result, const std::string& sql) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  std::string what = trimmed(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
  if (const char* hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT)) what += ". " + trimmed(hint);
  std::string_view code = state ? state : "";
  if (code.starts_with("CU")) throw ClaimRefused(what);
  // The plan is of another time; the connection has forgotten it by now.
  if (is_stale_plan(code, what)) throw TransactionConflict("PostgreSQL: " + what);
  std::size_t start = sql.find_first_not_of(" \n");
  what += " (SQLSTATE " + std::string(code) + ", in: " + (start == std::string::npos ? "" : sql.substr(start, 60)) + ")";
  if (is_dependency_state(code)) throw DependencyDown("PostgreSQL: " + what);
  if (is_conflict_state(code)) throw TransactionConflict("PostgreSQL: " + what);
  throw StatementError(std::string(code), what);
}

bool is_dependency_state(std::string_view s) noexcept {
  // 08 connection, 53 resources (disk full, too many connections), 57P shutdown, 25006 read-only after a failover,
  // 58 system error.
  return s.empty() || s.starts_with("08") || s.starts_with("53") || s.starts_with("57P") || s == "25006" || s.starts_with("58");
}

bool is_conflict_state(std::string_view s) noexcept {
  // 40 serialization and deadlock, 55P03 lock timeout, 57014 statement timeout, 25P03 idle in transaction.
  return s.starts_with("40") || s == "55P03" || s == "57014" || s == "25P03";
}

Connection::Connection(ConnectionOptions options) : options_(std::move(options)) {
  paths_.push_back(options_.search_path);
}

Connection::~Connection() { disconnect(); }

void Connection::connect() {
  disconnect();
  std::string timeout = std::to_string(std::max<long>(2, options_.connect_timeout.count() / 1000));
  std::string user_timeout = std::to_string(options_.connect_timeout.count());
  std::string settings = "-c statement_timeout=" + std::to_string(options_.statement_timeout.count()) +
                         " -c idle_in_transaction_session_timeout=60000 -c datestyle=ISO -c timezone=UTC -c jit=off";
  // Every statement here is short: compiling its plan would take longer than running it.
  const char* keys[] = {"dbname", "application_name", "connect_timeout", "tcp_user_timeout", "keepalives_idle",
                        "keepalives_interval", "keepalives_count", "options", "client_encoding",
                        options_.password.empty() ? nullptr : "password", nullptr};
  const char* values[] = {options_.url.c_str(), options_.application_name.c_str(), timeout.c_str(), user_timeout.c_str(),
                          "10", "5", "3", settings.c_str(), "UTF8", options_.password.c_str(), nullptr};
  connection_ = PQconnectdbParams(keys, values, 1);
  if (PQstatus(connection_) != CONNECTION_OK) {
    std::string cause = trimmed(PQerrorMessage(connection_));
    disconnect();
    throw DependencyDown("PostgreSQL: cannot connect: " + cause);
  }
  PQsetNoticeProcessor(connection_, [](void*, const char*) {}, nullptr);
  PQsetnonblocking(connection_, 1);
  PQenterPipelineMode(connection_);
  path_ = 0;
  ++generation_;
  run("SELECT set_config('search_path', $1::text, false)", {std::string_view(options_.search_path)});
}

void Connection::disconnect() noexcept {
  if (connection_) PQfinish(connection_);
  connection_ = nullptr;
  prepared_.clear();
  pending_.clear();
  path_ = 0;
}

bool Connection::connected() const noexcept { return connection_ && PQstatus(connection_) == CONNECTION_OK; }

void Connection::lost(const std::string& doing) {
  std::string cause = connection_ ? trimmed(PQerrorMessage(connection_)) : "not connected";
  disconnect();
  throw DependencyDown("PostgreSQL: " + doing + ": " + cause);
}

void Connection::wait_socket(bool for_write, std::chrono::steady_clock::time_point deadline) {
  pollfd fd{PQsocket(connection_), static_cast<short>(for_write ? POLLIN | POLLOUT : POLLIN), 0};
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  int ready = left.count() <= 0 ? 0 : ::poll(&fd, 1, static_cast<int>(left.count()) + 1);
  if (ready == 0) {
    disconnect();
    throw DependencyDown("PostgreSQL: no answer within the statement timeout and 5 s");
  }
  if (ready < 0 && errno != EINTR) lost("poll");
}

void Connection::send(std::string_view sql, std::span<const Param> parameters) {
  if (!connection_) throw DependencyDown("PostgreSQL: not connected");
  EncodedParameters encoded(parameters);
  // One plan for each text and search path; the parameter types follow from the text's casts.
  std::string id = std::to_string(path_) + ':' + std::string(sql);
  auto found = prepared_.find(id);
  if (found == prepared_.end()) {
    std::string name = "s" + std::to_string(++names_);
    if (!PQsendPrepare(connection_, name.c_str(), id.c_str() + id.find(':') + 1, encoded.count(), encoded.types()))
      lost("sending a statement");
    pending_.push_back({std::string(sql), id});
    found = prepared_.emplace(std::move(id), std::move(name)).first;
  }
  if (!PQsendQueryPrepared(connection_, found->second.c_str(), encoded.count(), encoded.values(), encoded.lengths(),
                           encoded.formats(), 0))
    lost("sending a statement");
  pending_.push_back({std::string(sql), {}});
}

void Connection::queue(std::string_view sql, std::span<const Param> parameters) { send(sql, parameters); }

std::unique_ptr<Rows> Connection::run(std::string_view sql, std::span<const Param> parameters) {
  send(sql, parameters);
  return rows_of(collect(true));
}

void Connection::flush() {
  if (!pending_.empty()) collect(false);
}

Result Connection::collect(bool wanted) {
  auto deadline = std::chrono::steady_clock::now() + options_.statement_timeout + std::chrono::seconds(5);
  if (!PQpipelineSync(connection_)) lost("sending");
  for (int rest = PQflush(connection_); rest != 0; rest = PQflush(connection_)) {
    if (rest < 0) lost("sending");
    wait_socket(true, deadline);
    if (!PQconsumeInput(connection_)) lost("receiving");
  }
  auto next = [&] {
    while (PQisBusy(connection_)) {
      wait_socket(false, deadline);
      if (!PQconsumeInput(connection_)) lost("receiving");
    }
    return Result(PQgetResult(connection_));
  };
  Result last, failure;
  std::size_t failed_at = 0;
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    Result result = next();
    if (!result) lost("receiving");
    ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_FATAL_ERROR && !failure) {
      failure = std::move(result);
      failed_at = i;
    } else if (status != PGRES_FATAL_ERROR && status != PGRES_PIPELINE_ABORTED) {
      last = std::move(result);
    }
    next();  // the null that ends this statement's results
  }
  Result sync = next();
  if (PQstatus(connection_) != CONNECTION_OK) {
    std::string cause = trimmed(failure ? PQresultErrorMessage(failure.get()) : PQerrorMessage(connection_));
    disconnect();
    throw DependencyDown("PostgreSQL: connection lost: " + cause);
  }
  if (!sync || PQresultStatus(sync.get()) != PGRES_PIPELINE_SYNC) lost("protocol out of step");
  std::vector<Pending> done = std::exchange(pending_, {});
  if (failure) {
    const char* state = PQresultErrorField(failure.get(), PG_DIAG_SQLSTATE);
    const char* message = PQresultErrorField(failure.get(), PG_DIAG_MESSAGE_PRIMARY);
    if (is_stale_plan(state ? state : "", message ? message : "")) prepared_.clear();
    for (std::size_t i = failed_at; i < done.size(); ++i)
      if (!done[i].prepares.empty()) prepared_.erase(done[i].prepares);  // behind the failure nothing was prepared
    throw_failure(failure.get(), done[failed_at].sql);
  }
  return wanted ? std::move(last) : Result();
}

void Connection::rollback() noexcept {
  path_ = 0;
  if (!connection_) return;
  try {
    pending_.empty() ? void() : void(collect(false));
  } catch (const std::exception&) {
  }
  if (!connection_) return;
  try {
    if (PQtransactionStatus(connection_) != PQTRANS_IDLE) run("ROLLBACK");
  } catch (const std::exception&) {
    disconnect();
  }
}

void Connection::local_search_path(std::string_view path) {
  auto found = std::find(paths_.begin(), paths_.end(), path);
  std::size_t index = static_cast<std::size_t>(found - paths_.begin());
  if (index == path_) return;
  if (found == paths_.end()) paths_.emplace_back(path);
  queue("SELECT set_config('search_path', $1::text, true)", {path});
  path_ = index;
}

bool Connection::wait_notification(std::chrono::steady_clock::time_point deadline, int interrupt_fd) {
  if (!connection_) throw DependencyDown("PostgreSQL: not connected");
  for (;;) {
    bool any = false;
    if (!PQconsumeInput(connection_)) lost("waiting for notifications");
    while (PGnotify* notify = PQnotifies(connection_)) {
      PQfreemem(notify);
      any = true;
    }
    if (any) return true;
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd fds[2] = {{PQsocket(connection_), POLLIN, 0}, {interrupt_fd, POLLIN, 0}};
    if (::poll(fds, 2, static_cast<int>(std::min<long>(left.count(), 60'000))) < 0 && errno != EINTR) lost("poll");
    if (fds[1].revents != 0) return false;
  }
}

}  // namespace cutover::postgres
