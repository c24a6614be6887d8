#include "workers/score/incremental.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "workers/score/announcement.h"
#include "workers/score/domain/scoring.h"
#include "workers/score/ego_input.h"
#include "workers/score/run_store.h"

namespace cutover::score {
namespace {

using Ids = std::span<const std::int64_t>;

// Keeps other incrementals of the same principals out, to the end of the transaction; the source is read in
// statements after this one: then of two at once the later one sees the newer rows.
constexpr std::string_view kLock = R"sql(
SELECT pg_advisory_xact_lock('score_updates'::regclass::oid::integer, s.stripe)
FROM (SELECT DISTINCT hashint8(p) & 1023 AS stripe FROM unnest($1::bigint[]) p ORDER BY stripe) s)sql";

constexpr std::string_view kWrite = R"sql(
INSERT INTO score_updates AS s (principal_id, as_of, gone, score, quality, position, stability, trust, penalty, edges, up_1, up_2, down_1,
  down_2, formula, stream, sequence)
SELECT u.id, $2::timestamptz, $3::boolean, u.score, u.quality, u.position, u.stability, u.trust, u.penalty, u.edges, nullif(u.up_1, 0),
  nullif(u.up_2, 0), nullif(u.down_1, 0), nullif(u.down_2, 0), $4::text, $5::text, $6::bigint
FROM unnest($1::bigint[], $7::float8[], $8::float8[], $9::float8[], $10::float8[], $11::float8[], $12::float8[], $13::bigint[],
  $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[])
  u (id, score, quality, position, stability, trust, penalty, edges, up_1, up_2, down_1, down_2)
ORDER BY u.id
ON CONFLICT (principal_id, as_of) DO UPDATE SET gone = excluded.gone, score = excluded.score, quality = excluded.quality,
  position = excluded.position, stability = excluded.stability, trust = excluded.trust, penalty = excluded.penalty,
  edges = excluded.edges, up_1 = excluded.up_1, up_2 = excluded.up_2, down_1 = excluded.down_1, down_2 = excluded.down_2,
  formula = excluded.formula, stream = excluded.stream, sequence = excluded.sequence, computed_at = now())sql";

constexpr std::string_view kExplanations = R"sql(
SELECT principal_id, round(100 * quality)::bigint, round(100 * position)::bigint, round(100 * stability)::bigint,
  round(100 * trust)::bigint, coalesce(up_1, 0), coalesce(up_2, 0), coalesce(down_1, 0), coalesce(down_2, 0)
FROM scores WHERE principal_id = ANY ($1::bigint[]) AND as_of <= $2::timestamptz)sql";

// Those of some principals that have fewer than $2 contacts, either way.
constexpr std::string_view kSmall = R"sql(
SELECT n.id FROM unnest($1::bigint[]) n (id)
WHERE (SELECT count(*) FROM (SELECT FROM app.contacts c WHERE c.owner_id = n.id AND c.target_id IS NOT NULL LIMIT $2::bigint) o)
    + (SELECT count(*) FROM (SELECT FROM app.contacts c WHERE c.target_id = n.id LIMIT $2::bigint) i) < $2::bigint
ORDER BY n.id)sql";

using Explanation = std::array<std::int64_t, 8>;

// As PostgreSQL rounds: halves to even.
std::int64_t bar(double component) {
  return static_cast<std::int64_t>(std::nearbyint(100 * component));
}

Explanation explanation_of(const Result& r) {
  return {bar(r.quality),
          bar(r.position),
          bar(r.stability),
          bar(r.trust),
          static_cast<std::int64_t>(r.up[0]),
          static_cast<std::int64_t>(r.up[1]),
          static_cast<std::int64_t>(r.down[0]),
          static_cast<std::int64_t>(r.down[1])};
}

// Rows of score_updates, a column each.
struct Columns {
  std::vector<std::int64_t> ids, edges, up_1, up_2, down_1, down_2;
  std::vector<double> score, quality, position, stability, trust, penalty;
  void add(std::int64_t id, const Result& r) {
    ids.push_back(id);
    edges.push_back(r.edges);
    up_1.push_back(static_cast<std::int64_t>(r.up[0]));
    up_2.push_back(static_cast<std::int64_t>(r.up[1]));
    down_1.push_back(static_cast<std::int64_t>(r.down[0]));
    down_2.push_back(static_cast<std::int64_t>(r.down[1]));
    score.push_back(r.score);
    quality.push_back(r.quality);
    position.push_back(r.position);
    stability.push_back(r.stability);
    trust.push_back(r.trust);
    penalty.push_back(r.penalty);
  }
};

void write(Transaction& tx, const Event& cause, const std::string& formula, const Columns& c, bool gone) {
  if (c.ids.empty()) return;
  const auto numbers = [](const std::vector<double>& v) { return std::span<const double>(v); };
  tx.query(kWrite, {Ids(c.ids), cause.occurred_at, gone, std::string_view(formula), cause.place.stream,
                    static_cast<std::int64_t>(cause.place.sequence), numbers(c.score), numbers(c.quality),
                    numbers(c.position), numbers(c.stability), numbers(c.trust), numbers(c.penalty),
                    Ids(c.edges), Ids(c.up_1), Ids(c.up_2), Ids(c.down_1), Ids(c.down_2)});
}

std::map<std::int64_t, Explanation> explanations(Transaction& tx, Ids ids, Instant as_of) {
  std::map<std::int64_t, Explanation> found;
  const auto rows = tx.query(kExplanations, {ids, as_of});
  for (std::size_t i = 0; i < rows->size(); ++i)
    for (std::size_t k = 0; k < 8; ++k) found[rows->integer(i, 0)][k] = rows->integer(i, k + 1);
  return found;
}

std::vector<std::int64_t> small_ones(Transaction& tx, Ids principals, std::int64_t large) {
  const auto rows = tx.query(kSmall, {principals, large});
  std::vector<std::int64_t> ids(rows->size());
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = rows->integer(i, 0);
  return ids;
}

// Both ascend and share nothing.
std::vector<std::int64_t> both(Ids a, Ids b) {
  std::vector<std::int64_t> all(a.size() + b.size());
  std::merge(a.begin(), a.end(), b.begin(), b.end(), all.begin());
  return all;
}

}  // namespace

void recompute(Transaction& tx, const Event& cause, Ids named, const IncrementalLimits& limits) {
  std::vector<std::int64_t> neighbours;
  if (named.size() <= limits.principals)
    neighbours = neighbours_of(tx, named, limits.principals - named.size() + 1);
  bool queue = named.size() + neighbours.size() > limits.principals;
  if (queue) neighbours.clear();
  std::vector<std::int64_t> wanted = both(named, neighbours);
  tx.query(kLock, {Ids(wanted)});
  const auto known = tx.query(
      "SELECT formula, to_char($1::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') "
      "FROM serving.score_formulas WHERE state = 'active'",
      {cause.occurred_at});
  const std::string formula(known->text(0, 0)), as_of(known->text(0, 1));
  const Micros t = cause.occurred_at.time_since_epoch().count();
  const Weights weights = weights_of(tx, formula);
  const auto read = [&] { return read_around(tx, wanted, weights, t, limits.contacts); };
  std::unique_ptr<EgoInput> input = read();
  if (!input && !neighbours.empty()) {
    queue = true;
    wanted = both(named, small_ones(tx, neighbours, limits.large));
    input = read();
  }
  if (!input && wanted.size() > named.size()) {
    wanted.assign(named.begin(), named.end());
    input = read();
  }
  if (!input) {
    wanted.clear();
    queue = true;
  } else {
    const auto before = explanations(tx, wanted, cause.occurred_at);
    const std::vector<Result> results = compute(*input->graph, input->standings, input->scope(), 1);
    const std::string origin = std::string(cause.place.stream) + "/" +
                               std::to_string(cause.place.incarnation) + "/" +
                               std::to_string(cause.place.sequence);
    Columns present, gone;
    for (std::size_t i = 0; i < results.size(); ++i) {
      const std::int64_t id = input->principals.id(input->wanted[i]);
      present.add(id, results[i]);
      const auto old = before.find(id);
      if (old == before.end() || old->second != explanation_of(results[i]))
        announce_explanation(tx, cause, id, as_of, origin);
    }
    for (const std::int64_t id : input->gone) gone.add(id, Result());
    write(tx, cause, formula, present, false);
    write(tx, cause, formula, gone, true);
  }
  if (queue) request_run(tx, cause);
  announce_incremental(tx, cause, as_of, formula, wanted, queue);
}

}  // namespace cutover::score
