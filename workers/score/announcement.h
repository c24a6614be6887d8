#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/contract/event.h"
#include "runtime/contract/transaction.h"
#include "workers/score/domain/distribution.h"

namespace cutover::score {

// score.snapshot_published, with counts and distribution.
void announce_snapshot(Transaction& tx, const Event& cause, std::int64_t run, std::string_view as_of,
                       std::string_view formula, const Distribution& distribution, std::uint64_t edges);

// score.incremental_computed.
//   batch_queued  the neighbours of these wait for a batch
void announce_incremental(Transaction& tx, const Event& cause, std::string_view as_of,
                          std::string_view formula, const std::vector<std::int64_t>& principals,
                          bool batch_queued);

// score.explanation_updated.
//   origin  what tells this change of the explanation from its others: a run, a request
void announce_explanation(Transaction& tx, const Event& cause, std::int64_t principal, std::string_view as_of,
                          std::string_view origin);

// Sends score.explanation_updated for the next principals of a published run whose explanation differs from
// the one before: bars in whole percent, reasons. Looks at `rows` of them. Returns whether there are more.
bool announce_explanations(Transaction& tx, std::size_t rows);

// "count":..,"mean":.. of a distribution, without braces.
std::string distribution_json(const Distribution& distribution);
// The shortest text that reads back as the same number.
std::string number_text(double value);

}  // namespace cutover::score
