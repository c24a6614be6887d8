#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cutover::postgres {

// One cell: null, or PostgreSQL's text.
using Cell = std::optional<std::string>;

struct Table {
  std::vector<std::string> columns;
  std::vector<std::vector<Cell>> rows;
};

// A connection for operators' commands and checks: one statement, one transaction, no state in between. (The batch and the
// relay have `Connection`: pipelined, prepared, binary.)
class Session {
 public:
  // Throws DependencyDown naming host and cause. `password` empty: as libpq finds it.
  Session(const std::string& url, const std::string& password, const std::string& application_name);
  ~Session();
  // Throws StatementError, or DependencyDown when the connection is lost.
  Table query(const std::string& sql, const std::vector<Cell>& parameters = {});
  // PostgreSQL's version, as 150018.
  int server_version() const;

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace cutover::postgres
