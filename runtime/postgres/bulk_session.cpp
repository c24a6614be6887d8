#include "runtime/postgres/bulk_session.h"

#include <libpq-fe.h>

#include <algorithm>

#include "runtime/engine/ports.h"

namespace cutover::postgres {
namespace {

constexpr std::string_view kSignature("PGCOPY\n\377\r\n\0", 11);
constexpr std::size_t kHeaderBytes =
    kSignature.size() + 8;  // flags and the length of an extension that nobody uses
constexpr std::size_t kSendBytes = 64 * 1024;

struct ConnectionDeleter {
  void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
};

struct CopyDeleter {
  void operator()(char* data) const noexcept { PQfreemem(data); }
};

std::string one_line(const char* text) {
  std::string line = text ? text : "";
  while (!line.empty() && line.back() == '\n') line.pop_back();
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

class PgBulkSession final : public BulkSession {
 public:
  explicit PgBulkSession(const ConnectionOptions& options) {
    const std::string timeout = std::to_string(std::max<long>(2, options.connect_timeout.count() / 1000));
    const char* settings =
        "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c datestyle=ISO -c timezone=UTC -c "
        "jit=off";
    const char* keys[] = {"dbname",
                          "application_name",
                          "connect_timeout",
                          "keepalives_idle",
                          "keepalives_interval",
                          "keepalives_count",
                          "options",
                          "client_encoding",
                          options.password.empty() ? nullptr : "password",
                          nullptr};
    const char* values[] = {options.url.c_str(),
                            options.application_name.c_str(),
                            timeout.c_str(),
                            "10",
                            "5",
                            "3",
                            settings,
                            "UTF8",
                            options.password.c_str(),
                            nullptr};
    connection_.reset(PQconnectdbParams(keys, values, 1));
    if (PQstatus(connection_.get()) != CONNECTION_OK)
      throw DependencyDown("PostgreSQL: cannot connect: " + one_line(PQerrorMessage(connection_.get())));
    PQsetNoticeProcessor(
        connection_.get(), [](void*, const char*) {}, nullptr);
    query("SET search_path = " + options.search_path);
  }

  bool try_lock(std::string_view name) override {
    return query("SELECT pg_try_advisory_lock(hashtextextended('" + std::string(name) + "', 0))")
        ->boolean(0, 0);
  }

  std::string begin_snapshot(std::string_view snapshot) override {
    query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    if (snapshot.empty()) return std::string(query("SELECT pg_export_snapshot()")->text(0, 0));
    query("SET TRANSACTION SNAPSHOT '" + std::string(snapshot) + "'");
    return std::string(snapshot);
  }

  void begin() override { query("BEGIN ISOLATION LEVEL READ COMMITTED"); }
  void commit() override { query("COMMIT"); }

  std::unique_ptr<Rows> query(const std::string& sql) override {
    Result result(PQexec(connection_.get(), sql.c_str()));
    check(result.get(), sql);
    return rows_of(std::move(result));
  }

  void copy_out(const std::string& query, const std::function<void(const BulkRow&)>& row) override {
    const std::string sql = "COPY (" + query + ") TO STDOUT (FORMAT binary)";
    start(sql, PGRES_COPY_OUT);
    BulkRow parsed;
    bool header = true;
    try {
      for (;;) {
        char* data = nullptr;
        const int length = PQgetCopyData(connection_.get(), &data, 0);
        if (length == -1) break;
        const std::unique_ptr<char, CopyDeleter> owner(data);
        if (length < 0)
          throw DependencyDown("PostgreSQL: a stream broke off: " +
                               one_line(PQerrorMessage(connection_.get())));
        std::string_view bytes(data, static_cast<std::size_t>(length));
        if (header) {
          if (!bytes.starts_with(kSignature))
            throw DependencyDown("PostgreSQL: a stream began without its signature");
          bytes.remove_prefix(kHeaderBytes);
          header = false;
        }
        if (bytes.size() <= 2) continue;  // the end, or a header that came alone
        parsed.assign(bytes);
        row(parsed);
      }
    } catch (...) {
      connection_.reset();  // the rest of the stream is not worth reading
      throw;
    }
    finish(sql);
  }

  std::uint64_t copy_in(const std::string& table, const std::function<bool(BulkBuffer&)>& fill) override {
    const std::string sql = "COPY " + table + " FROM STDIN (FORMAT binary)";
    start(sql, PGRES_COPY_IN);
    try {
      BulkBuffer buffer;
      buffer.bytes().assign(kSignature).append(8, '\0');
      for (bool more = true; more;) {
        more = fill(buffer);
        if (!more) buffer.bytes().append(2, '\377');
        if (more && buffer.bytes().size() < kSendBytes) continue;
        if (PQputCopyData(connection_.get(), buffer.bytes().data(),
                          static_cast<int>(buffer.bytes().size())) != 1)
          broken();
        buffer.bytes().clear();
      }
      if (PQputCopyEnd(connection_.get(), nullptr) != 1) broken();
    } catch (...) {
      connection_.reset();
      throw;
    }
    return finish(sql);
  }

 private:
  [[noreturn]] void broken() {
    throw DependencyDown("PostgreSQL: a stream broke off: " + one_line(PQerrorMessage(connection_.get())));
  }

  void start(const std::string& sql, ExecStatusType expected) {
    const Result result(PQexec(connection_.get(), sql.c_str()));
    if (PQresultStatus(result.get()) != expected) check(result.get(), sql);
  }

  std::uint64_t finish(const std::string& sql) {
    std::uint64_t count = 0;
    for (Result result(PQgetResult(connection_.get())); result;
         result.reset(PQgetResult(connection_.get()))) {
      check(result.get(), sql);
      for (const char* digit = PQcmdTuples(result.get()); *digit; ++digit)
        count = count * 10 + static_cast<std::uint64_t>(*digit - '0');
    }
    return count;
  }

  void check(const PGresult* result, const std::string& sql) {
    if (PQstatus(connection_.get()) != CONNECTION_OK)
      throw DependencyDown("PostgreSQL: connection lost: " + one_line(PQerrorMessage(connection_.get())));
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) throw_failure(result, sql);
  }

  std::unique_ptr<PGconn, ConnectionDeleter> connection_;
};

}  // namespace

std::unique_ptr<BulkSession> open_bulk_session(const ConnectionOptions& options) {
  return std::make_unique<PgBulkSession>(options);
}

}  // namespace cutover::postgres
