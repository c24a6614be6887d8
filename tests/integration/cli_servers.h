#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "fixtures/nats_server.h"
#include "fixtures/test_database.h"
#include "integration/cli.h"

namespace cutover::test {

// The program with servers: a database of its own and a NATS server of its own, so that streams do not meet
// those of others.
struct Servers {
  Process::Environment environment() const {
    Process::Environment all = {{"CUTOVER_NATS_SERVERS", nats.url()},
                                {"CUTOVER_POSTGRES_URL", database.url()}};
    all.insert(more.begin(), more.end());
    return all;
  }
  Ended run(const std::vector<std::string>& arguments) const { return run_cutover(arguments, environment()); }
  void execute(std::initializer_list<const char*> statements) {
    for (const char* statement : statements) database.query(statement);
  }
  // One line of `cutover doctor`.
  nlohmann::json check(const std::string& name) const {
    const auto document = nlohmann::json::parse(run({"doctor", "--json"}).out);
    for (const auto& line : document["checks"])
      if (line["name"] == name) return line;
    return {};
  }
  NatsServer nats;
  TestDatabase database;
  Process::Environment more;  // settings of the test
};

}  // namespace cutover::test
