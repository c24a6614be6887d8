#pragma once

#include <memory>

#include "fixtures/test_broker.h"
#include "integration/cli_servers.h"

namespace cutover::test {

// Segments of a worker in these streams from their present ends on, without any guard. The streams exist.
void append_segments(const Servers& servers, const std::string& worker, const std::vector<std::string>& streams,
                     const std::string& mode, const std::string& percent = "0");

// A world in which the Search Projector may be taken over: streams, a ready worker, a gate that was just
// seen, a verdict of a comparison. The worker comes first in its order, so that it waits for nobody.
struct OwnershipWorld : Servers {
  OwnershipWorld();

  // Runs a command with --json; its document, with the exit code as "code" and standard error as "err".
  nlohmann::json ask(std::vector<std::string> arguments) const;
  // The same with a reason.
  nlohmann::json change(std::vector<std::string> arguments) const;
  // One guard of a `switch --dry-run`.
  nlohmann::json guard(const std::string& name) const;

  void run_worker();   // and waits until its heartbeat says that it is ready
  void see_gate();     // a heartbeat of now
  void note_parity();  // a good verdict of now
  void stand_at(const std::string& mode,
                const std::string& percent = "0");  // segments from the present ends on
  std::string stage();
  std::string tables();  // all that a command could change, as one text
  // Publishes events of contacts, each with a key of its own; returns the last sequence.
  std::uint64_t publish_contacts(int from, int count);

  std::unique_ptr<Process> worker;
};

}  // namespace cutover::test
