#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/policy/segments.h"
#include "runtime/policy/stages.h"
#include "runtime/postgres/connection.h"

namespace cutover::postgres {

// One line of a worker's history.
struct SegmentRow {
  std::string stream;
  Segment segment;
  std::string actor;
  std::string reason;
  Instant at;
};

// All segments of a worker, oldest first.
std::vector<SegmentRow> read_segments(Connection& connection, const std::string& worker);

// The stages of all workers that the database knows, by name.
std::map<std::string, Standing> read_standings(Connection& connection);

// The life of a stream that the ledger counts as the present one.
struct KnownLife {
  int incarnation = 0;
  Instant created_at;
};
std::map<std::string, KnownLife> read_lives(Connection& connection, const std::vector<std::string>& streams);

// What ownership is changed to, for each stream with the last sequence that the broker says under the lock.
struct NewSegments {
  std::string worker;
  Mode mode = Mode::monolith;
  int percent_hundredths = 0;
  std::string actor;
  std::string reason;
  std::vector<std::string> streams;
  std::vector<std::int64_t> incarnations;
  std::vector<std::int64_t> last_sequences;
};
struct AppendedSegment {
  std::string stream;
  int incarnation = 0;
  std::int64_t epoch = 0;
  std::uint64_t from_sequence = 0;
  bool behind = false;  // the stream ends before what was seen of it
};
// In a transaction that holds the worker's exclusive lock. Throws ClaimRefused and StatementError.
std::vector<AppendedSegment> append_segments(Connection& connection, const NewSegments& segments);

// One line of the operators' log.
struct LogLine {
  std::string actor;
  std::string command;
  std::string worker;            // empty: none
  std::string arguments = "{}";  // JSON objects
  std::string reason;
  std::vector<std::string> forced;
  std::string result;  // done | refused | failed
  std::string detail = "{}";
};
void log_operation(Connection& connection, const LogLine& line);

// monolith | shadow | canary | worker, as the table says it.
std::string_view to_text(Mode mode) noexcept;
Mode parse_mode(std::string_view text);

// {[3,8),[10,11)} as pairs of first and last.
using SequenceRanges = std::vector<std::pair<std::uint64_t, std::uint64_t>>;
SequenceRanges parse_ranges(std::string_view multirange);
// Whether a sequence lies in one of them.
bool contains(const SequenceRanges& ranges, std::uint64_t sequence) noexcept;

// What neither side settled of [first, last], whether it concerns the worker or not.
SequenceRanges read_unsettled(Connection& connection, const std::string& worker, const std::string& stream,
                              int incarnation, std::uint64_t first, std::uint64_t last);

}  // namespace cutover::postgres
