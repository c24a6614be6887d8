#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/parity/ports.h"
#include "runtime/postgres/session.h"

namespace cutover::postgres {

// An event that a side gave up on, since the worker is compared, and that both sides have settled.
struct GivenUp {
  std::string place;          // CONTACT/42
  std::string serving_error;  // "rejected: ..."; empty: that side succeeded
  std::string worker_error;
  std::string subject;
};

// What the ledger knows of both sides of one worker that is compared. One thread. Throws StatementError,
// DependencyDown.
class ParityLedger {
 public:
  // The session outlives this.
  ParityLedger(Session& session, std::string worker) : session_(session), worker_(std::move(worker)) {}

  // How far both sides are on each stream that the worker is compared on: from the beginning of its present
  // shadow or canary.
  parity::Marks marks();
  // Events that one side gave up on or both did, with both errors where they differ in kind; at most `limit`.
  std::vector<GivenUp> given_up(std::size_t limit);
  // How many events both sides gave up on for the same kind of reason.
  std::uint64_t given_up_alike();
  // Why a comparison now is worth nothing: "no instance of the worker is alive". Empty: it is.
  std::vector<std::string> obstacles();
  int schema_version();

 private:
  Session& session_;
  const std::string worker_;
};

}  // namespace cutover::postgres
