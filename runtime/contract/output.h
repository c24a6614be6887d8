#pragma once

#include <string>
#include <vector>

namespace cutover {

// How one column of an output is compared.
struct OutputField {
  enum class Rule {
    same,    // the same text
    set,     // an array whose order and repetitions do not count
    number,  // at most `tolerance` apart; what is no finite number equals nothing
    newest,  // a timestamp: the worker's may be later, never earlier
  };
  std::string name;
  Rule rule = Rule::same;
  double tolerance = 0;
};

// What a worker writes and the monolith wrote before it: a table or view of schema `serving` with its twin in `shadow`,
// described for `cutover compare`. Names of columns and SQL expressions are the worker author's, never a user's.
struct Output {
  std::string name;               // search documents
  std::string table;              // search_documents
  std::vector<std::string> keys;  // its key, in the order of its index
  std::vector<OutputField> fields;
  // Columns: the event that last wrote the row, null where no event did.
  std::string stream = "stream";
  std::string sequence = "seq";
  std::string written_at;           // column: when the row was last written; for comparisons since a time
  std::string stratum;              // expression over a row: samples are counted for each value
  std::vector<std::string> strata;  // values that need samples of their own
  // Query with {schema} in it: (stream, sequence) of settled events whose work is not done, such as jobs and runs.
  std::string unfinished;
  // What the report draws of both sides: an expression over a row, from `from` to `to`.
  struct Distribution {
    std::string label;
    std::string expression;
    double from = 0;
    double to = 0;
  } distribution;
  std::string measured;   // field with statistics of shift and bias
  std::string matrix;     // field with a matrix of how often each value met each other one
  bool strict = false;    // no ignore rule may hide a difference
};

}  // namespace cutover
