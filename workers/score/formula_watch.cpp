#include "workers/score/formula_watch.h"

#include <stdexcept>
#include <string>

#include "workers/score/run_store.h"

namespace cutover::score {
namespace {

// The look that is due, once both runs are there: of those that were passed over while no process lived the
// last one.
constexpr std::string_view kDue = R"sql(
SELECT f.formula, f.previous, d.hours, b.run_id, a.run_id,
       extract(epoch FROM b.finished_at - b.started_at)::float8, extract(epoch FROM a.finished_at - a.started_at)::float8,
       (SELECT count(*) FROM serving.score_runs r WHERE r.formula = f.formula AND r.official AND r.finished_at >= f.activated_at),
       (SELECT count(*) FROM serving.score_runs r WHERE r.formula = f.formula AND r.official AND r.finished_at >= f.activated_at
          AND r.state = 'failed'),
       extract(epoch FROM f.activated_at)::bigint
FROM (SELECT * FROM serving.score_formulas WHERE state = 'active' AND previous IS NOT NULL FOR UPDATE) f
CROSS JOIN LATERAL (
  SELECT h AS hours FROM unnest(ARRAY[1, 6, 24, 48, 72]) h
  WHERE f.activated_at + make_interval(hours => h) <= now()
    AND NOT EXISTS (SELECT FROM serving.score_formula_checks k
                    WHERE k.formula = f.formula AND k.activated_at = f.activated_at AND k.hours >= h)
  ORDER BY h DESC LIMIT 1) d
CROSS JOIN LATERAL (
  SELECT * FROM serving.score_runs r WHERE r.formula = f.previous AND r.official AND r.state = 'published'
  ORDER BY r.as_of DESC, r.run_id DESC LIMIT 1) b
LEFT JOIN LATERAL (
  SELECT * FROM serving.score_runs r WHERE r.formula = f.formula AND r.official AND r.state = 'published'
    AND r.finished_at >= f.activated_at
  ORDER BY r.as_of DESC, r.run_id DESC LIMIT 1) a ON true)sql";

constexpr std::string_view kNote = R"sql(
INSERT INTO serving.score_formula_checks (formula, activated_at, hours, reverted, detail)
SELECT f.formula, f.activated_at, $2::bigint::integer, $3::boolean,
  jsonb_build_object('reason', $4::text, 'mean_shift', $5::float8, 'principals', $6::bigint, 'over_10', $7::bigint, 'over_20', $8::bigint,
    'failed_runs', $9::bigint, 'seconds', $10::float8)
FROM serving.score_formulas f WHERE f.formula = $1::text)sql";

// In this order: one version is active at any time.
constexpr std::string_view kRetire = R"sql(
UPDATE serving.score_formulas SET state = $2::text, reverted_at = CASE WHEN $2::text = 'reverted' THEN now() END, reason = $3::text
WHERE formula = $1::text AND state = 'active')sql";

constexpr std::string_view kReturn = R"sql(
UPDATE serving.score_formulas SET state = 'active', activated_at = now(), previous = NULL, reason = $2::text WHERE formula = $1::text)sql";

void ask_for_batch(Transaction& tx, std::string_view reason, std::string_view key) {
  Outgoing request;
  request.event_name = "score.recompute_requested";
  request.subject_type = "score_snapshot";
  request.subject_id = "score";
  request.idempotency_key = "score.formula:" + std::string(key);
  request.payload = R"({"scope":"all","principal_ids":[],"reason":")" + std::string(reason) + "\"}";
  tx.emit(Event(), std::move(request));
}

}  // namespace

std::vector<Scored> scores_of_run(Transaction& tx, std::int64_t run) {
  const auto rows = tx.query(
      "SELECT principal_id, score, quality, position, stability, trust FROM score_results WHERE run_id = "
      "$1::bigint ORDER BY principal_id",
      {run});
  std::vector<Scored> scores(rows->size());
  for (std::size_t i = 0; i < scores.size(); ++i)
    scores[i] = {rows->integer(i, 0),
                 rows->number(i, 1),
                 {rows->number(i, 2), rows->number(i, 3), rows->number(i, 4), rows->number(i, 5)}};
  return scores;
}

void watch_formula(Transaction& tx) {
  const auto due = tx.query(kDue);
  if (due->size() == 0) return;
  FormulaLook look;
  look.runs = static_cast<std::uint64_t>(due->integer(0, 7));
  look.failed_runs = static_cast<std::uint64_t>(due->integer(0, 8));
  if (look.runs == 0) return;  // nothing to look at yet
  if (!due->is_null(0, 4)) {
    look.comparison = compare(scores_of_run(tx, due->integer(0, 3)), scores_of_run(tx, due->integer(0, 4)));
    look.seconds_before = due->number(0, 5);
    look.seconds_after = due->number(0, 6);
  }
  const std::string formula(due->text(0, 0)), previous(due->text(0, 1));
  const std::int64_t hours = due->integer(0, 2);
  const std::optional<std::string> reason = reason_to_revert(look);
  const Comparison& c = look.comparison;
  tx.query(kNote, {std::string_view(formula), hours, reason.has_value(),
                   std::string_view(reason ? *reason : ""), c.mean_shift, static_cast<std::int64_t>(c.both),
                   static_cast<std::int64_t>(c.moved[1]), static_cast<std::int64_t>(c.moved[3]),
                   static_cast<std::int64_t>(look.failed_runs), look.seconds_after});
  if (!reason) return;
  tx.query(kRetire, {std::string_view(formula), std::string_view("reverted"), std::string_view(*reason)});
  tx.query(kReturn, {std::string_view(previous), std::string_view("reverted from " + formula)});
  ask_for_batch(tx, "formula_reverted", formula + ":reverted:" + std::to_string(due->integer(0, 9)));
}

void activate_formula(Transaction& tx, std::string_view formula, std::string_view reason) {
  const auto found = tx.query(R"sql(
SELECT c.state, (SELECT a.formula FROM serving.score_formulas a WHERE a.state = 'active')
FROM serving.score_formulas c WHERE c.formula = $1::text FOR UPDATE)sql",
                              {formula});
  const std::string name = "score formula " + std::string(formula);
  if (found->size() == 0) throw std::invalid_argument(name + " does not exist");
  if (found->text(0, 0) != "candidate")
    throw std::invalid_argument(name + " is " + std::string(found->text(0, 0)) + ", not a candidate");
  weights_of(tx, formula);  // refuses what no run could work with
  const std::string active(found->text(0, 1));
  tx.query(kRetire, {std::string_view(active), std::string_view("retired"), reason});
  tx.query(
      "UPDATE serving.score_formulas SET state = 'active', activated_at = now(), previous = $2::text, reason "
      "= $3::text WHERE formula = $1::text",
      {formula, std::string_view(active), reason});
  ask_for_batch(tx, "formula_activated", std::string(formula) + ":activated");
}

}  // namespace cutover::score
