#include "runtime/postgres/replay_plans.h"

#include "runtime/postgres/dead_letters.h"

namespace cutover::postgres {
namespace {

using Json = ReplayPlans::Json;

constexpr const char* kPlan = R"sql(
SELECT p.plan_id AS plan, p.state, p.hand_over AS to_owner, p.letters, p.hash, p.areas, p.actor, p.login, p.reason, p.sealed_at, p.approved_by,
  p.approved_login, p.approved_at, p.run, p.began_at, p.ended_at, p.stopped_because, p.filter FROM cutover.replay_plans p)sql";

// Of the replay lane the heartbeat has a figure, too: it is not live.
constexpr const char* kLatency = R"sql(
SELECT max((l.value ->> 'p99_ms')::double precision)
FROM cutover.instances i CROSS JOIN LATERAL jsonb_each(i.detail -> 'lanes') l
WHERE i.side = 'worker' AND i.stopped_at IS NULL AND i.seen_at > now() - interval '30 s' AND l.key <> 'replay'
  AND i.worker_id IN (SELECT DISTINCT d.worker_id FROM cutover.replay_items r JOIN cutover.dead_letters d USING (letter_id)
                      WHERE r.plan_id = $1::bigint))sql";

}  // namespace

std::int64_t ReplayPlans::seal(const Json& filter, std::optional<std::uint64_t> limit, bool hand_over,
                               const std::string& actor, const std::string& reason) {
  return std::stoll(session_
                        .query("SELECT cutover.seal_replay($1::jsonb, $2::bigint, $3::boolean, $4, $5)",
                               {filter.dump(), limit ? Cell(std::to_string(*limit)) : Cell(),
                                hand_over ? "t" : "f", actor, reason})
                        .rows[0][0]
                        .value());
}

std::vector<std::string> ReplayPlans::areas(const Json& filter) {
  std::vector<std::string> all;
  for (const auto& row :
       session_
           .query(
               "SELECT DISTINCT cutover.guarded_area(w.worker, d.subject) FROM cutover.letters($1::jsonb) d "
               "JOIN cutover.workers w USING (worker_id) "
               "WHERE cutover.guarded_area(w.worker, d.subject) IS NOT NULL ORDER BY 1",
               {filter.dump()})
           .rows)
    all.push_back(row[0].value());
  return all;
}

void ReplayPlans::approve(std::int64_t plan, const std::string& actor, const std::string& reason) {
  session_.query("SELECT cutover.approve_replay($1::bigint, $2, $3)", {std::to_string(plan), actor, reason});
}

Json ReplayPlans::plan(std::int64_t plan) {
  const Table table =
      session_.query(std::string("SELECT to_jsonb(r) FROM (") + kPlan + " WHERE p.plan_id = $1::bigint) r",
                     {std::to_string(plan)});
  return table.rows.empty() ? Json(nullptr) : Json::parse(table.rows[0][0].value());
}

Json ReplayPlans::plans(std::uint64_t limit) {
  Json all = Json::array();
  for (const auto& row :
       session_
           .query(std::string("SELECT to_jsonb(r), cutover.replay_progress(r.plan) -> 'outcomes' FROM (") +
                      kPlan + " ORDER BY p.plan_id DESC LIMIT $1::bigint) r",
                  {std::to_string(limit)})
           .rows) {
    all.push_back(Json::parse(row[0].value()));
    all.back()["outcomes"] = Json::parse(row[1].value());
  }
  return all;
}

Json ReplayPlans::groups(std::int64_t plan) {
  return DeadLetters(session_).groups({{"plan", plan}}, 1'000);
}

std::int64_t ReplayPlans::begin(std::int64_t plan, const std::string& actor, const std::string& reason) {
  return std::stoll(
      session_.query("SELECT cutover.begin_replay($1::bigint, $2, $3)", {std::to_string(plan), actor, reason})
          .rows[0][0]
          .value());
}

std::uint64_t ReplayPlans::send(std::int64_t plan, std::int64_t run, std::uint64_t taken,
                                std::uint64_t limit) {
  return std::stoull(
      session_
          .query("SELECT cutover.send_replay($1::bigint, $2::integer, $3::bigint, $4::bigint)",
                 {std::to_string(plan), std::to_string(run), std::to_string(taken), std::to_string(limit)})
          .rows[0][0]
          .value());
}

Json ReplayPlans::progress(std::int64_t plan) {
  return Json::parse(session_.query("SELECT cutover.replay_progress($1::bigint)", {std::to_string(plan)})
                         .rows[0][0]
                         .value_or("null"));
}

std::string ReplayPlans::end(std::int64_t plan, std::int64_t run, const std::string& because,
                             const std::string& actor, const std::string& reason) {
  return session_
      .query("SELECT cutover.end_replay($1::bigint, $2::integer, nullif($3, ''), $4, $5)",
             {std::to_string(plan), std::to_string(run), because, actor, reason})
      .rows[0][0]
      .value_or("");
}

std::uint64_t ReplayPlans::republish(std::int64_t after_ms) {
  return std::stoull(
      session_
          .query("SELECT cutover.republish_replays(make_interval(secs => $1::double precision / 1000), 1000)",
                 {std::to_string(after_ms)})
          .rows[0][0]
          .value());
}

std::optional<double> ReplayPlans::live_latency_ms(std::int64_t plan) {
  const Cell figure = session_.query(kLatency, {std::to_string(plan)}).rows[0][0];
  return figure ? std::optional(std::stod(*figure)) : std::nullopt;
}

}  // namespace cutover::postgres
