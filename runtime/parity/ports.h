#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace cutover::parity {

// What a comparison reads, and from where. Serving's rows are the monolith's, the other schema's the
// worker's.

using Value = std::optional<std::string>;  // PostgreSQL's text; nothing for null
using Key = std::vector<std::string>;      // the key's columns, as text

// Rows with after < key <= up_to, in the order of the table's index.
struct KeyRange {
  std::optional<Key> after;
  std::optional<Key> up_to;
};

struct Row {
  std::vector<Value> values;  // in the order of Output::fields
  std::string stream;         // of the event that last wrote it; empty: none
  std::uint64_t sequence = 0;
  std::string stratum;
};

struct RowPair {
  Key key;
  std::optional<Row> serving;
  std::optional<Row> worker;
};

// One side of a range, hashed by the database.
struct Block {
  std::uint64_t rows = 0;
  std::uint64_t exact = 0;  // of all fields as they are
  std::uint64_t coarse =
      0;  // of all fields, numbers in steps of their tolerance: differs where a rule might object
  std::map<std::string, std::uint64_t> strata;  // rows of each
  bool operator==(const Block&) const = default;
};
struct BlockPair {
  Block serving;
  Block worker;
};

// How far both sides have settled a stream since the worker is compared.
struct StreamMark {
  std::uint64_t common = 0;   // both sides settled everything up to here that either of them has settled
  std::uint64_t highest = 0;  // that either side has settled
  std::string behind;  // the side that has not settled common + 1: serving | worker; empty: none is behind
};
using Marks = std::map<std::string, StreamMark>;

// A column that is not the same on both sides; an empty type: there is none.
struct ColumnDifference {
  std::string column;
  std::string serving_type;
  std::string worker_type;
};

// Reads one output. Throws what the database throws. One thread.
class RowReader {
 public:
  virtual ~RowReader() = default;
  virtual std::vector<ColumnDifference> columns() = 0;
  // The key of row number `rows` of a range, counting the rows of both sides together; nullopt when it has
  // fewer.
  virtual std::optional<Key> step(const KeyRange& range, std::uint64_t rows) = 0;
  // Both sides of a range, as of one moment.
  virtual BlockPair hash(const KeyRange& range) = 0;
  // How many keys of a range have two rows that are not exactly equal.
  virtual std::uint64_t count_unequal(const KeyRange& range) = 0;
  virtual std::vector<RowPair> read(const KeyRange& range) = 0;
  // A key that neither side has any more comes back without rows.
  virtual std::vector<RowPair> read(std::span<const Key> keys) = 0;
  virtual Marks marks() = 0;
};

}  // namespace cutover::parity
