#include "tests/bench/search/session.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <cstdlib>

namespace cutover::bench {
namespace {

[[noreturn]] void fail(pg_conn* connection, const std::string& doing) {
  fmt::print(stderr, "{}: {}", doing, PQerrorMessage(connection));
  std::exit(1);
}

}  // namespace

Session::Session(const std::string& url) : connection_(PQconnectdb(url.c_str())) {
  if (PQstatus(connection_) != CONNECTION_OK) fail(connection_, "cannot connect");
}

Session::~Session() { PQfinish(connection_); }

std::vector<Session::Row> Session::query(const std::string& sql, const std::vector<std::string>& parameters) {
  std::vector<const char*> values;
  for (const std::string& parameter : parameters) values.push_back(parameter.c_str());
  PGresult* result = PQexecParams(connection_, sql.c_str(), static_cast<int>(values.size()), nullptr, values.data(), nullptr, nullptr, 0);
  const ExecStatusType status = PQresultStatus(result);
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) fail(connection_, sql.substr(0, 80));
  std::vector<Row> rows(static_cast<std::size_t>(PQntuples(result)));
  for (int i = 0; i < PQntuples(result); ++i)
    for (int c = 0; c < PQnfields(result); ++c) rows[static_cast<std::size_t>(i)].emplace_back(PQgetvalue(result, i, c));
  PQclear(result);
  return rows;
}

std::string array_text(const std::vector<std::string>& values) {
  std::string text = "{";
  for (const std::string& value : values) {
    text += text.size() > 1 ? ",\"" : "\"";
    for (char c : value) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    text += '"';
  }
  return text + "}";
}

}  // namespace cutover::bench
