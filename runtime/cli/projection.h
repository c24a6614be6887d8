#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/contract/transaction.h"

namespace cutover::cli {

// A worker whose output can be rebuilt from its source and compared with it. main.cpp fills this in from the
// worker's own functions, so that the commands know no worker.

// Runs a function in a transaction of its own and commits it; throws what it throws, and then nothing was
// written.
using InTransaction = std::function<void(const std::function<void(Transaction&)>&)>;

// Lets that much time pass; false when somebody wants to stop.
using Wait = std::function<bool(std::chrono::milliseconds)>;

struct DriftRequest {
  bool full = false;
  std::size_t sample = 1'000;
  std::optional<std::int64_t> owner;
  std::int64_t seed = 1;
};

struct DriftResult {
  enum class Verdict { ok, different, inconclusive };
  Verdict verdict = Verdict::inconclusive;
  std::string mode;  // sample | full
  std::int64_t checked = 0;
  std::int64_t missing = 0;
  std::int64_t extra = 0;
  std::int64_t different = 0;
  std::int64_t in_flight = 0;
  double percent = 0;
  std::vector<std::string> examples;
};

struct ReindexRequest {
  std::optional<std::int64_t> owner;
  bool restart = false;
};

struct ReindexProgress {
  std::string run;
  bool resumed = false;
  std::string phase;
  std::int64_t seen = 0;
  std::int64_t expected = 0;
  std::int64_t upserted = 0;
  std::int64_t deleted = 0;
};

struct ReindexResult {
  enum class Outcome { completed, drifted, interrupted };
  Outcome outcome = Outcome::interrupted;
  ReindexProgress progress;
  std::optional<DriftResult> drift;
};

struct Projection {
  std::string worker;
  std::function<DriftResult(const InTransaction&, const DriftRequest&, const Wait&,
                            const std::function<void(std::int64_t seen, std::int64_t expected)>&)>
      drift;
  // The callback returns false to stop.
  std::function<ReindexResult(const InTransaction&, const ReindexRequest&,
                              const std::function<bool(const ReindexProgress&)>&, const Wait&)>
      reindex;
};

}  // namespace cutover::cli
