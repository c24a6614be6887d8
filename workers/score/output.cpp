#include "workers/score/output.h"

namespace cutover::score {

Output scores_output() {
  constexpr double kPoints = 0.01, kComponent = 0.0001;
  using Rule = OutputField::Rule;
  // as_of: requests that wait together are computed as of the latest of them, and on one side they may not
  // wait.
  Output output;
  output.name = "scores";
  output.table = "scores";
  output.keys = {"principal_id"};
  output.fields = {{"score", Rule::number, kPoints},
                   {"quality", Rule::number, kComponent},
                   {"position", Rule::number, kComponent},
                   {"stability", Rule::number, kComponent},
                   {"trust", Rule::number, kComponent},
                   {"penalty", Rule::number, kPoints},
                   {"edges"},
                   {"as_of", Rule::newest},
                   {"formula"}};
  output.sequence = "sequence";
  output.written_at = "as_of";
  // A request settles when its run is made; its rows come with the run.
  output.unfinished =
      "SELECT stream, sequence FROM {schema}.score_runs WHERE state IN ('queued', 'running') AND official";
  output.distribution = {"score", "score", 0, 100};
  output.measured = "score";
  return output;
}

}  // namespace cutover::score
