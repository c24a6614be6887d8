#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fixtures/private_servers.h"
#include "fixtures/program.h"
#include "fixtures/test_broker.h"
#include "fixtures/test_database.h"
#include "runtime/policy/segments.h"

namespace cutover::test {

// A hand-over with everything real, on servers of the test's own: the scripted worker as a process and the
// stand-in monolith as another read stream CONTACT in the name of search-projector (a name that the program
// `cutover` knows). Each event leaves one row in `effects`, and one outgoing event in stream OUT. One thread,
// the one that made it.
class TwoSides {
 public:
  struct Options {
    bool ordered = false;      // versions of a key are applied in order
    int replays_a_second = 0;  // 0: as many as the settings say
  };
  inline static const std::string kWorker = "search-projector", kStream = "CONTACT",
                                  kEvent = "contact.edge_upserted";

  explicit TwoSides(Options options);
  TwoSides();

  // Starts a process; one that runs is killed with SIGKILL before.
  void start_worker(bool fixed = false);  // fixed: its bug is mended, see ScriptedWorker
  void start_monolith();
  void start_relay();  // `cutover relay`, for when no worker runs that has one
  void kill_worker() { worker.reset(); }
  void kill_monolith() { monolith.reset(); }
  // Says which process ended by itself, with the end of its log; empty while all run.
  std::string ended();
  // All of a process's log: worker, monolith, relay.
  std::string log(const std::string& process) const;

  // Gives what comes after the end of the stream to a side. Returns when it is committed.
  struct Flip {
    Mode mode = Mode::monolith;
    int percent_hundredths = 0;
    std::uint64_t from_sequence = 0;
    std::chrono::system_clock::time_point began, ended;
    std::chrono::microseconds held{0};  // from the lock to the commit
    std::chrono::microseconds took() const {
      return std::chrono::duration_cast<std::chrono::microseconds>(ended - began);
    }
  };
  Flip flip(Mode mode, int percent_hundredths = 0);

  void publish(const EventDraft& event) { broker.publish(sending(event, event.subject_id)); }
  std::int64_t effects(const std::string& where = "true");
  // Both have acknowledged everything, and nothing waits in the outbox.
  bool quiet();
  // Idempotency keys of stream OUT, in its order.
  std::vector<std::string> outgoing();
  // Runs the program `cutover` to its end: its exit status, a space, and what it said.
  std::string command(std::vector<std::string> words);
  // What a program needs to know about the servers.
  std::vector<std::pair<std::string, std::string>> environment() const;

  PrivateServers servers;
  TestDatabase db;
  TestBroker broker;
  std::unique_ptr<Program> worker, monolith, relay;

 private:
  std::string log_file(const std::string& process) const {
    return servers.directory() + "/" + process + ".log";
  }

  Options options_;
  postgres::Connection control_;
  int commands_ = 0;
};

}  // namespace cutover::test
