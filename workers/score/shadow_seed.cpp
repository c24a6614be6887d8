#include "workers/score/shadow_seed.h"

#include <charconv>
#include <limits>

namespace cutover::score {
namespace {

constexpr std::string_view kClear = R"sql(
WITH results AS (DELETE FROM shadow.score_results), updates AS (DELETE FROM shadow.score_updates), runs AS (DELETE FROM shadow.score_runs)
UPDATE shadow.score_current SET run_id = NULL, as_of = '-infinity')sql";

constexpr std::string_view kCopy = R"sql(
WITH chunk AS (SELECT * FROM serving.scores WHERE principal_id > $1::bigint ORDER BY principal_id LIMIT $2::bigint),
copied AS (
  INSERT INTO shadow.score_updates (principal_id, as_of, score, quality, position, stability, trust, penalty, edges, up_1, up_2, down_1,
    down_2, formula)
  SELECT principal_id, as_of, score, quality, position, stability, trust, penalty, edges, up_1, up_2, down_1, down_2, formula
  FROM chunk ORDER BY principal_id
  ON CONFLICT (principal_id, as_of) DO NOTHING RETURNING 1)
SELECT (SELECT count(*) FROM copied), count(*), max(principal_id) FROM chunk)sql";

}  // namespace

void clear_shadow(Transaction& tx) {
  tx.query(kClear);
}

SeedChunk copy_to_shadow(Transaction& tx, const std::string& after, std::int64_t limit) {
  std::int64_t behind = std::numeric_limits<std::int64_t>::min();
  std::from_chars(after.data(), after.data() + after.size(), behind);
  const auto rows = tx.query(kCopy, {behind, limit});
  SeedChunk chunk;
  chunk.rows = rows->integer(0, 0);
  if (rows->integer(0, 1) == limit) chunk.next = std::string(rows->text(0, 2));
  return chunk;
}

}  // namespace cutover::score
