#pragma once

#include <string>
#include <vector>

struct pg_conn;

namespace cutover::bench {

// A plain connection: what the application has, and nothing of the runtime. Any error ends the program with a message.
class Session {
 public:
  explicit Session(const std::string& url);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  using Row = std::vector<std::string>;  // null is empty
  std::vector<Row> query(const std::string& sql, const std::vector<std::string>& parameters = {});

 private:
  pg_conn* connection_;
};

// {"a","b"} as PostgreSQL reads an array.
std::string array_text(const std::vector<std::string>& values);

}  // namespace cutover::bench
