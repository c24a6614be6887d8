#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fixtures/ledger_session.h"
#include "fixtures/nats_server.h"
#include "fixtures/test_broker.h"
#include "fixtures/test_database.h"
#include "integration/cli.h"
#include "runtime/nats/pull_source.h"

namespace cutover::test {

// Streams, consumers and a ledger that a test fills by hand, as the worker `search-projector` and a monolith
// would, so that it can leave out what they never would. Servers of its own. One thread.
class AuditWorld {
 public:
  AuditWorld();

  Process::Environment environment() const;
  Ended run(const std::vector<std::string>& arguments) const { return run_cutover(arguments, environment()); }
  // `cutover audit search-projector --json` and these.
  struct Answer {
    int code = 0;
    nlohmann::json document;
    std::string err;
    // of a class in a stream: applied, in_flight, ...
    std::uint64_t count(const std::string& stream, const std::string& audit_class) const;
    std::vector<std::uint64_t> stranded() const;
  };
  Answer audit(const std::vector<std::string>& arguments = {}) const;

  // Events of this name, one for each key.
  void publish(const std::string& event_name, const std::vector<std::string>& keys, bool key_header = true);
  // As the durable of a side, delivers so many events of a lane and acknowledges them (unless told not to).
  void read(const std::string& side, const std::string& lane, const std::string& stream,
            const std::string& filter, std::size_t count, bool ack = true);
  // Settles these as applied (or whatever the classes say), each with a work of its own.
  void settle(const std::string& stream, const std::vector<std::int64_t>& sequences, std::string classes = "",
              const std::string& side = "worker");
  // The monolith's gate says through which durables it reads.
  void heartbeat();

  NatsServer nats;
  TestDatabase db;
  TestBroker broker;

 private:
  std::map<std::string, std::unique_ptr<PullSource>> sources_;
  int events_ = 0;
};

}  // namespace cutover::test
