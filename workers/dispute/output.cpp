#include "workers/dispute/output.h"

namespace cutover::dispute {
namespace {

// Case events whose evaluation is asked for, and cases of which a hold or a cooling is over: the lanes come
// to them later.
constexpr const char* kUnfinished =
    "SELECT e.stream, e.seq FROM {schema}.dispute_evidence e JOIN {schema}.dispute_queue q USING (case_id) "
    "WHERE e.version > q.decided_version AND (e.material OR e.kind = 'reopened') AND q.state <> 'resolved' "
    "UNION ALL SELECT q.stream, q.seq FROM {schema}.dispute_queue q "
    "WHERE least(q.decide_at, q.hold_until) <= now() AND q.state <> 'resolved'";

}  // namespace

Output decisions_output() {
  Output output;
  output.name = "dispute decisions";
  output.table = "dispute_decisions";
  output.keys = {"case_id", "evaluation"};
  output.fields = {{"version"},    {"cause"}, {"as_of"},      {"rule"},   {"outcome"},
                   {"confidence"}, {"lane"},  {"hold_hours"}, {"actions"}};
  output.written_at = "as_of";
  output.stratum = "split_part(rule, '.', 1)";
  output.unfinished = kUnfinished;
  output.distribution = {"confidence", "confidence", 0, 1};
  output.matrix = "outcome";
  output.strict = true;
  return output;
}

Output cases_output() {
  Output output;
  output.name = "dispute cases";
  output.table = "dispute_queue";
  output.keys = {"case_id"};
  output.fields = {{"case_type"}, {"severity"}, {"version"},    {"routed_lane"},   {"base_lane"},
                   {"rule"},      {"outcome"},  {"hold_until"}, {"hold_extended"}, {"actions"}};
  output.written_at = "opened_at";
  output.stratum = "case_type";
  output.unfinished = kUnfinished;
  output.distribution = {"lane", "routed_lane", 0, 4};
  output.matrix = "rule";
  output.strict = true;
  return output;
}

}  // namespace cutover::dispute
