#include "runtime/postgres/ownership.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "runtime/engine/ports.h"
#include "runtime/postgres/parameters.h"

namespace cutover::postgres {
namespace {

constexpr const char* kSegments = R"sql(
SELECT s.stream, o.epoch, s.incarnation::bigint, o.from_sequence, o.mode, (o.percent * 100)::bigint, o.actor, o.reason, o.at
FROM cutover.ownership o JOIN cutover.workers w USING (worker_id) JOIN cutover.streams s USING (stream_id)
WHERE w.worker = $1::text ORDER BY o.epoch, s.stream, s.incarnation)sql";

// A stage lasts since the first epoch behind the last one that said something else. Complete is what the log
// says after that.
constexpr const char* kStandings = R"sql(
WITH epochs AS (
  SELECT DISTINCT ON (worker_id, epoch) worker_id, epoch, mode, percent, at
  FROM cutover.ownership ORDER BY worker_id, epoch, from_sequence DESC),
newest AS (
  SELECT DISTINCT ON (worker_id) worker_id, epoch, mode, percent FROM epochs ORDER BY worker_id, epoch DESC),
runs AS (
  SELECT n.worker_id, n.epoch, n.mode, n.percent, min(e.at) AS since
  FROM newest n JOIN epochs e USING (worker_id)
  WHERE e.epoch > coalesce((SELECT max(d.epoch) FROM epochs d
                            WHERE d.worker_id = n.worker_id AND (d.mode, d.percent) <> (n.mode, n.percent)), 0)
  GROUP BY 1, 2, 3, 4)
SELECT w.worker, coalesce(r.mode, w.first_owner), coalesce((r.percent * 100)::bigint, 0), coalesce(r.epoch, 0), r.since,
  r.since IS NOT NULL AND EXISTS (SELECT FROM cutover.operator_log l WHERE l.worker = w.worker AND l.command = 'complete'
                                  AND l.result = 'done' AND l.at >= r.since)
FROM cutover.workers w LEFT JOIN runs r USING (worker_id) ORDER BY w.worker)sql";

constexpr const char* kLives = R"sql(
SELECT DISTINCT ON (stream) stream, incarnation::bigint, created_at FROM cutover.streams
WHERE stream = ANY ($1::text[]) ORDER BY stream, incarnation DESC)sql";

constexpr const char* kAppend = R"sql(
SELECT stream, incarnation::bigint, epoch, from_sequence, behind
FROM cutover.append_segments($1::text, $2::text, ($3::bigint / 100.0)::numeric(5, 2), $4::text, $5::text, $6::text[],
  $7::bigint[]::integer[], $8::bigint[]))sql";

constexpr const char* kLog = R"sql(
SELECT cutover.log_operation($1::text, $2::text, nullif($3::text, ''), $4::text::jsonb, $5::text, $6::text[], $7::text,
  $8::text::jsonb))sql";

constexpr const char* kUnsettled =
    "SELECT cutover.unsettled($1::text, $2::text, $3::bigint::integer, $4::bigint, $5::bigint)::text";

std::vector<std::string_view> views(const std::vector<std::string>& texts) {
  return {texts.begin(), texts.end()};
}

}  // namespace

std::string_view to_text(Mode mode) noexcept {
  return cutover::to_text(stage_of(mode));
}

Mode parse_mode(std::string_view text) {
  if (text == "monolith") return Mode::monolith;
  if (text == "shadow") return Mode::shadow;
  return text == "canary" ? Mode::canary : Mode::worker;
}

std::vector<SegmentRow> read_segments(Connection& connection, const std::string& worker) {
  const auto rows = connection.run(kSegments, {std::string_view(worker)});
  std::vector<SegmentRow> all;
  for (std::size_t i = 0; i < rows->size(); ++i) {
    SegmentRow& row = all.emplace_back();
    row.stream = rows->text(i, 0);
    row.segment.epoch = rows->integer(i, 1);
    row.segment.incarnation = static_cast<int>(rows->integer(i, 2));
    row.segment.from_sequence = static_cast<std::uint64_t>(rows->integer(i, 3));
    row.segment.mode = parse_mode(rows->text(i, 4));
    row.segment.percent_hundredths = static_cast<int>(rows->integer(i, 5));
    row.actor = rows->text(i, 6);
    row.reason = rows->text(i, 7);
    row.at = parse_timestamp(rows->text(i, 8));
  }
  return all;
}

std::map<std::string, Standing> read_standings(Connection& connection) {
  const auto rows = connection.run(kStandings);
  std::map<std::string, Standing> all;
  for (std::size_t i = 0; i < rows->size(); ++i) {
    Standing& standing = all[std::string(rows->text(i, 0))];
    standing.stage = rows->boolean(i, 5) ? Stage::complete : stage_of(parse_mode(rows->text(i, 1)));
    standing.percent_hundredths = static_cast<int>(rows->integer(i, 2));
    standing.epoch = rows->integer(i, 3);
    if (!rows->is_null(i, 4)) standing.since = parse_timestamp(rows->text(i, 4));
  }
  return all;
}

std::map<std::string, KnownLife> read_lives(Connection& connection, const std::vector<std::string>& streams) {
  const auto names = views(streams);
  const auto rows = connection.run(kLives, {std::span<const std::string_view>(names)});
  std::map<std::string, KnownLife> lives;
  for (std::size_t i = 0; i < rows->size(); ++i)
    lives[std::string(rows->text(i, 0))] = {static_cast<int>(rows->integer(i, 1)),
                                            parse_timestamp(rows->text(i, 2))};
  return lives;
}

std::vector<AppendedSegment> append_segments(Connection& connection, const NewSegments& s) {
  const auto streams = views(s.streams);
  const auto rows = connection.run(
      kAppend,
      {std::string_view(s.worker), to_text(s.mode), std::int64_t{s.percent_hundredths},
       std::string_view(s.actor), std::string_view(s.reason), std::span<const std::string_view>(streams),
       std::span<const std::int64_t>(s.incarnations), std::span<const std::int64_t>(s.last_sequences)});
  std::vector<AppendedSegment> all;
  for (std::size_t i = 0; i < rows->size(); ++i)
    all.push_back({std::string(rows->text(i, 0)), static_cast<int>(rows->integer(i, 1)), rows->integer(i, 2),
                   static_cast<std::uint64_t>(rows->integer(i, 3)), rows->boolean(i, 4)});
  return all;
}

void log_operation(Connection& connection, const LogLine& l) {
  const auto forced = views(l.forced);
  connection.run(kLog, {std::string_view(l.actor), std::string_view(l.command), std::string_view(l.worker),
                        std::string_view(l.arguments), std::string_view(l.reason),
                        std::span<const std::string_view>(forced), std::string_view(l.result),
                        std::string_view(l.detail)});
}

SequenceRanges parse_ranges(std::string_view text) {
  SequenceRanges ranges;
  const char* at = text.data();
  const char* end = at + text.size();
  while (at != end) {
    if (*at != '[') {
      ++at;
      continue;
    }
    std::uint64_t first = 0;
    std::uint64_t behind = 0;
    at = std::from_chars(at + 1, end, first).ptr;
    if (at != end && *at == ',') ++at;
    at = std::from_chars(at, end, behind).ptr;
    if (behind > first) ranges.emplace_back(first, behind - 1);
  }
  return ranges;
}

bool contains(const SequenceRanges& ranges, std::uint64_t sequence) noexcept {
  const auto behind = std::upper_bound(ranges.begin(), ranges.end(), sequence,
                                       [](std::uint64_t s, const auto& range) { return s < range.first; });
  return behind != ranges.begin() && sequence <= std::prev(behind)->second;
}

SequenceRanges read_unsettled(Connection& connection, const std::string& worker, const std::string& stream,
                              int incarnation, std::uint64_t first, std::uint64_t last) {
  if (last < first) return {};
  const auto rows = connection.run(
      kUnsettled, {std::string_view(worker), std::string_view(stream), std::int64_t{incarnation},
                   static_cast<std::int64_t>(first), static_cast<std::int64_t>(last)});
  return parse_ranges(rows->text(0, 0));
}

}  // namespace cutover::postgres
