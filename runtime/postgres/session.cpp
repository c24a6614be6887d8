#include "runtime/postgres/session.h"

#include <pqxx/pqxx>

#include "runtime/engine/ports.h"

namespace cutover::postgres {
namespace {

std::string first_line(const char* text) {
  std::string line = text;
  return line.substr(0, line.find('\n'));
}

std::string quoted(std::string_view value) {
  std::string out = "'";
  for (char c : value) {
    if (c == '\'' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "'";
}

}  // namespace

struct Session::Implementation {
  explicit Implementation(const std::string& options) : connection(options) {}
  pqxx::connection connection;
};

Session::Session(const std::string& url, const std::string& password, const std::string& application_name) {
  // libpq lets a URL be followed by nothing, so what is added travels as parameters of the URL or as key=value pairs.
  std::string options = url;
  bool is_url = url.starts_with("postgres://") || url.starts_with("postgresql://");
  auto add = [&](const std::string& key, const std::string& value) {
    if (!is_url) {
      options += " " + key + "=" + quoted(value);
      return;
    }
    static constexpr char kHex[] = "0123456789ABCDEF";
    options += (options.find('?') == std::string::npos ? "?" : "&") + key + "=";
    for (unsigned char c : value)
      if (std::isalnum(c)) {
        options.push_back(static_cast<char>(c));
      } else {
        options += {'%', kHex[c >> 4], kHex[c & 15]};
      }
  };
  add("application_name", application_name);
  add("connect_timeout", "5");
  if (!password.empty()) add("password", password);
  try {
    implementation_ = std::make_unique<Implementation>(options);
    pqxx::nontransaction tx(implementation_->connection);
    tx.exec("SET statement_timeout = '30s'");
    tx.exec("SET TimeZone = 'UTC'");
  } catch (const pqxx::failure& e) {
    throw DependencyDown("PostgreSQL: cannot connect: " + first_line(e.what()));
  }
}

Session::~Session() = default;

Table Session::query(const std::string& sql, const std::vector<Cell>& parameters) {
  try {
    pqxx::work tx(implementation_->connection);
    std::vector<const char*> values;
    for (const Cell& cell : parameters) values.push_back(cell ? cell->c_str() : nullptr);
    pqxx::result result = tx.exec_params(sql, pqxx::prepare::make_dynamic_params(values));
    tx.commit();
    Table table;
    for (pqxx::row_size_type c = 0; c < result.columns(); ++c) table.columns.emplace_back(result.column_name(c));
    for (const auto& row : result) {
      auto& cells = table.rows.emplace_back();
      for (const auto& field : row) cells.push_back(field.is_null() ? Cell() : Cell(std::string(field.c_str(), field.size())));
    }
    return table;
  } catch (const pqxx::broken_connection& e) {
    throw DependencyDown("PostgreSQL: connection lost: " + first_line(e.what()));
  } catch (const pqxx::sql_error& e) {
    throw StatementError(e.sqlstate(), first_line(e.what()));
  }
}

int Session::server_version() const { return implementation_->connection.server_version(); }

}  // namespace cutover::postgres
