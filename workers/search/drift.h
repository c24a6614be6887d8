#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "workers/search/source_walk.h"

namespace cutover::search {

struct DriftOptions {
  bool full = false;                  // every document; otherwise a sample
  std::size_t sample = 1'000;         // documents and source rows to look at
  std::optional<std::int64_t> owner;  // only this owner's, and then all of them
  std::size_t chunk_documents = 2'000;
  double limit_percent = 0.5;                // above it the verdict is `different`
  std::chrono::milliseconds settle{2'000};   // what differs is read again after this time ...
  int settle_rounds = 3;                     // ... so often, unless nothing is left
  std::int64_t seed = 1;                     // of the sample
};

enum class DriftVerdict { ok, different, inconclusive };
std::string_view name_of(DriftVerdict verdict);

struct DriftReport {
  std::string mode;            // sample | full
  std::int64_t checked = 0;    // documents that are there or should be
  std::int64_t missing = 0;    // should be there
  std::int64_t extra = 0;      // should not be there
  std::int64_t different = 0;  // another content
  std::int64_t in_flight = 0;  // differed at first, and no longer when read again
  double percent = 0;          // missing, extra and different of checked
  DriftVerdict verdict = DriftVerdict::inconclusive;  // inconclusive: there was nothing to check
  std::vector<std::string> examples;  // "missing contact:12", at most 20
};

// Compares documents with the view that defines them, beside live traffic. Notes the result in search_drift.
//   wait      lets that much time pass; false: stop waiting, count what was found so far
//   progress  keys looked at, and about how many there are; may be empty
DriftReport drift(const InTransaction& in_transaction, const DriftOptions& options,
                  const std::function<bool(std::chrono::milliseconds)>& wait,
                  const std::function<void(std::int64_t, std::int64_t)>& progress = {});

}  // namespace cutover::search
