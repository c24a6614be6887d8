#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "runtime/contract/event.h"
#include "runtime/contract/transaction.h"
#include "workers/score/domain/age.h"
#include "workers/score/domain/weights.h"

namespace cutover::score {

// Batches as rows of score_runs, whatever process works on them.

// Joins the run that waits, or queues one. The latest request's time counts; so does its place.
void request_run(Transaction& tx, const Event& cause);

// A run that this process works on.
struct OpenRun {
  std::int64_t id = 0;
  std::int64_t attempt = 0;
  bool official = true;  // false: a candidate formula beside another run
  Micros as_of = 0;      // t, since 1970
  std::string as_of_text;
  std::string formula;
  // The request, empty without one.
  std::string stream, key, event_id, event_name, tenant_scope, correlation_id, actor_id, actor_type,
      traceparent, tracestate;
  std::int64_t incarnation = 0, sequence = 0;

  // The request's event, as far as what follows from it needs it. Views into this.
  Event cause() const;
};

enum class Phase { reading = 1, computing, staging, publishing };
std::string_view name_of(Phase phase);

// Somebody else took the run up, or it is over.
struct Superseded : std::runtime_error {
  Superseded() : std::runtime_error("the run was taken up by somebody else") {}
};

// Takes a run up: one that was begun, else the oldest that waits. From here on nobody joins it. Nothing when
// there is none.
std::optional<OpenRun> take_run(Transaction& tx, std::string_view instance);
// Throws Superseded.
void note_progress(Transaction& tx, const OpenRun& run, Phase phase, std::uint64_t done, std::uint64_t total);
// Ends a run without results. `error` is for an operator.
void give_up(Transaction& tx, const OpenRun& run, std::string_view state, std::string_view error);
// Counts an attempt that ended with an error; returns how many there are now.
int note_failure(Transaction& tx, const OpenRun& run, std::string_view error);

// The weights of a formula version. Throws std::invalid_argument naming what is wrong with them.
Weights weights_of(Transaction& tx, std::string_view formula);

}  // namespace cutover::score
