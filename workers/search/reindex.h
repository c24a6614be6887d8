#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "workers/search/drift.h"
#include "workers/search/source_walk.h"

namespace cutover::search {

struct ReindexOptions {
  std::optional<std::int64_t> owner;  // only this owner's documents; otherwise all
  std::size_t chunk_documents = 2'000;
  bool restart = false;               // give an unfinished run up instead of going on with it
  DriftOptions drift;                 // of the check at the end; `owner` is taken from above
};

struct ReindexProgress {
  std::string run_id;
  bool resumed = false;       // an earlier, unfinished run goes on
  std::string phase;          // contacts | profiles | leftovers | done
  std::int64_t seen = 0;      // contacts, profiles and left over documents
  std::int64_t expected = 0;  // about how many there are
  std::int64_t upserted = 0;
  std::int64_t deleted = 0;
};

enum class ReindexOutcome {
  completed,
  drifted,      // rebuilt, but the check at the end found differences above its limit
  interrupted,  // `progress` said stop; the next call goes on from here
};

struct ReindexReport {
  ReindexOutcome outcome = ReindexOutcome::interrupted;
  ReindexProgress progress;
  std::optional<DriftReport> drift;  // none when interrupted
};

// Rebuilds documents from the source beside live traffic, a chunk in each transaction, with the locks of the lanes. Goes on
// with a run of the same scope that was interrupted or failed less than a day ago. Emits search.reindex_started, one event
// about each document that changed, and search.reindex_completed or search.reindex_failed.
//   progress  called after each chunk; returns false to stop
//   wait      as for drift()
//   throws    what `in_transaction` throws; the run is then noted as failed where that can still be written
ReindexReport reindex(const InTransaction& in_transaction, const ReindexOptions& options,
                      const std::function<bool(const ReindexProgress&)>& progress,
                      const std::function<bool(std::chrono::milliseconds)>& wait);

}  // namespace cutover::search
