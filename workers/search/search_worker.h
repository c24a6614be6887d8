#pragma once

#include <chrono>
#include <cstddef>
#include <memory>

#include "runtime/contract/worker.h"

namespace cutover::search {

struct SearchSettings {
  // Age of the projection from which on serving.search answers from the source tables.
  std::chrono::milliseconds stale_after{60'000};
  // Documents of one job behind the lanes.
  std::size_t chunk_documents = 2'000;
};

// So many documents of one owner in one batch are put aside as jobs behind the lanes: an import, a renamed circle, a
// large owner's completed sync. Everybody else's events of the batch do not wait for them.
inline constexpr std::size_t kBulkDocuments = 256;

// Keeps search_documents in step with the source tables: events say what changed, the rows are read as they are now.
// One for each thread.
std::unique_ptr<Worker> make_search_worker(const SearchSettings& settings);

}  // namespace cutover::search

namespace cutover {

// The worker `search-projector`. The settings are read when it starts and must outlive it.
WorkerSpec search_projector_spec(std::shared_ptr<const search::SearchSettings> settings);

}  // namespace cutover
