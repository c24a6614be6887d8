#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/postgres/session.h"

namespace cutover::postgres {

// What a comparison came to, for the guards of `canary` and `switch`.
struct StoredVerdict {
  std::string worker;
  std::string verdict;  // ok | different | inconclusive
  std::uint64_t samples = 0;
  std::string build;
  std::string formula;  // empty: none
  int schema_version = 0;
  std::string detail;  // a JSON object
};

// Needs the role cutover_operator. Throws StatementError and DependencyDown.
void store_verdict(Session& session, const StoredVerdict& verdict);

// The folder of the report with this id, as its verdict's detail says; nullopt for an unknown one.
std::optional<std::string> report_folder(Session& session, const std::string& worker, const std::string& id);

}  // namespace cutover::postgres
