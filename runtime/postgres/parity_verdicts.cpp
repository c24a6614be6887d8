#include "runtime/postgres/parity_verdicts.h"

namespace cutover::postgres {

void store_verdict(Session& session, const StoredVerdict& v) {
  session.query(
      "INSERT INTO cutover.parity_verdicts (worker, at, verdict, samples, build, formula, schema_version, "
      "detail) "
      "VALUES ($1, clock_timestamp(), $2, $3::bigint, $4, nullif($5, ''), $6::integer, $7::jsonb)",
      {v.worker, v.verdict, std::to_string(v.samples), v.build, v.formula, std::to_string(v.schema_version),
       v.detail});
}

std::optional<std::string> report_folder(Session& session, const std::string& worker, const std::string& id) {
  const Table found = session.query(
      "SELECT detail ->> 'report' FROM cutover.parity_verdicts WHERE worker = $1 AND detail ->> 'id' = $2 "
      "ORDER BY at DESC LIMIT 1",
      {worker, id});
  if (found.rows.empty()) return std::nullopt;
  return found.rows.front().front();
}

}  // namespace cutover::postgres
