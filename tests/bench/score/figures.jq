# The worlds of tests/bench/score/run as lines.
.worlds[] | .seconds as $all
| def two: . * 100 | round / 100;
  def part: "\(.) ms (\(. / $all / 10 | round) %)";
"\(.world): \(.principals) principals, \(.edges) edges: \(.seconds | two) s (goal \(.goal_seconds) s), \(.seconds * 1e6 / .edges | two) s for a million edges",
"  reading \(.milliseconds.reading | part), computing \(.milliseconds.computing | part), staging \(.milliseconds.staging | part)",
"  \(.bytes / 1048576 | round) MiB" + if .goal_bytes then ", \(.bytes_an_edge) bytes an edge, \(100 * .bytes / .goal_bytes | round) % of what it may need" else "" end,
(if .monolith_seconds then "  the monolith in SQL: \(.monolith_seconds | two) s, \(.ratio | two) times as long" else empty end)
