#include <chrono>
#include <functional>

#include <fmt/format.h>

#include "runtime/cli/doctor.h"
#include "runtime/engine/ports.h"
#include "runtime/host/host.h"
#include "runtime/postgres/session.h"

namespace cutover::cli {
namespace {

using postgres::Session;
using State = Check::State;

constexpr int kServerVersionMin = 150'000;

// Every name is resolved in the query, so that what is missing becomes a row and not an error.
constexpr const char* kPermissions = R"sql(
WITH needed (kind, object, privilege) AS (VALUES
  ('table', 'cutover.instances', 'INSERT'), ('table', 'cutover.instances', 'UPDATE'),
  ('table', 'cutover.progress', 'UPDATE'), ('table', 'cutover.attempts', 'DELETE'), ('table', 'cutover.started', 'DELETE'),
  ('table', 'cutover.outbox', 'INSERT'), ('table', 'cutover.outbox', 'UPDATE'), ('table', 'cutover.outbox', 'DELETE'),
  ('table', 'cutover.ownership', 'SELECT'), ('table', 'cutover.dead_letters', 'SELECT'),
  ('function', 'cutover.claim', 'EXECUTE'), ('function', 'cutover.settle', 'EXECUTE'),
  ('function', 'cutover.start_redelivered', 'EXECUTE'), ('function', 'cutover.write_dead_letter', 'EXECUTE'),
  ('function', 'cutover.stream_incarnation', 'EXECUTE'),
  ('table', 'serving.search_documents', 'SELECT'), ('table', 'serving.search_documents', 'INSERT'),
  ('table', 'serving.search_documents', 'UPDATE'), ('table', 'serving.search_documents', 'DELETE'),
  ('table', 'app.principals', 'SELECT'), ('table', 'app.profiles', 'SELECT'), ('table', 'app.channels', 'SELECT'),
  ('table', 'app.contacts', 'SELECT'), ('table', 'app.circles', 'SELECT'), ('table', 'app.circle_members', 'SELECT'))
SELECT n.kind, n.object, n.privilege, current_user,
  CASE WHEN n.kind = 'table' THEN c.oid IS NOT NULL ELSE p.oid IS NOT NULL END AS present,
  CASE WHEN n.kind = 'table' THEN coalesce(has_table_privilege(c.oid, n.privilege), false)
       ELSE coalesce(has_function_privilege(p.oid, n.privilege), false) END
  AND coalesce(has_schema_privilege(s.oid, 'USAGE'), false) AS allowed
FROM needed n
LEFT JOIN pg_namespace s ON s.nspname = split_part(n.object, '.', 1)
LEFT JOIN pg_class c ON n.kind = 'table' AND c.relnamespace = s.oid AND c.relname = split_part(n.object, '.', 2)
LEFT JOIN pg_proc p ON n.kind = 'function' AND p.pronamespace = s.oid AND p.proname = split_part(n.object, '.', 2)
ORDER BY n.object, n.privilege)sql";

// The indexes of the monolith's tables that the workers' queries rely on.
constexpr const char* kMissingIndexes = R"sql(
SELECT n.relation || ' (' || n.attribute || ')'
FROM (VALUES ('contacts', 'owner_id'), ('contacts', 'target_id'), ('profiles', 'owner_principal_id'),
             ('channels', 'principal_id'), ('circle_members', 'contact_id'), ('trust_incidents', 'principal_id'))
  n (relation, attribute)
WHERE NOT EXISTS (
  SELECT FROM pg_index i
  JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace s ON s.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
  WHERE s.nspname = 'app' AND c.relname = n.relation AND a.attname = n.attribute AND i.indisvalid AND i.indpred IS NULL)
ORDER BY 1)sql";

constexpr const char* kServerState = R"sql(
SELECT current_setting('server_version'), pg_is_in_recovery(), current_setting('transaction_read_only') = 'on',
  current_setting('fsync') = 'on', current_setting('synchronous_commit') <> 'off',
  current_setting('max_connections')::integer - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'))sql";

std::string cell(const postgres::Table& table, std::size_t row, std::size_t column) {
  return table.rows.at(row).at(column).value_or("");
}

bool is_true(const postgres::Table& table, std::size_t row, std::size_t column) {
  return cell(table, row, column) == "t";
}

Check version_check(Session& session, const postgres::Table& state) {
  Check check{"postgres version", State::ok, cell(state, 0, 0), ""};
  if (session.server_version() < kServerVersionMin) {
    check.state = State::fail;
    check.what_to_do = "PostgreSQL 15 or later is needed: upgrade the server.";
  }
  return check;
}

Check writable_check(const postgres::Table& state) {
  Check check{"postgres writable", State::ok, "accepts writes", ""};
  if (is_true(state, 0, 1) || is_true(state, 0, 2)) {
    check.state = State::fail;
    check.found = is_true(state, 0, 1) ? "a standby: read-only" : "transactions are read-only";
    check.what_to_do =
        "Name the primary in postgres.url (several hosts with target_session_attrs=read-write find it).";
  } else if (!is_true(state, 0, 3) || !is_true(state, 0, 4)) {
    check.state = State::warn;
    check.found = is_true(state, 0, 3) ? "synchronous_commit is off" : "fsync is off";
    check.what_to_do = "Turn it on: a committed batch may otherwise be lost after its events were acked.";
  }
  return check;
}

Check connections_check(const Settings& settings, const postgres::Table& state) {
  const long long left = std::stoll(cell(state, 0, 5));
  Check check{"postgres connections", State::ok, fmt::format("{} free", left), ""};
  if (left < static_cast<long long>(settings.postgres.pool_max)) {
    check.state = State::warn;
    check.what_to_do =
        fmt::format("One worker may take {} (postgres.pool_max): raise max_connections or lower that.",
                    settings.postgres.pool_max);
  }
  return check;
}

Check extensions_check(Session& session) {
  const auto table = session.query(
      "SELECT n.name FROM (VALUES ('pg_trgm'), ('btree_gist')) n (name) "
      "WHERE NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = n.name)");
  Check check{"postgres extensions", State::ok, "pg_trgm, btree_gist", ""};
  if (table.rows.empty()) return check;
  std::string missing;
  for (std::size_t row = 0; row < table.rows.size(); ++row)
    missing += (row > 0 ? ", " : "") + cell(table, row, 0);
  return {check.name, State::fail, "missing: " + missing,
          "Deploy the migrations; they create these extensions."};
}

Check schema_check(Session& session) {
  Check check{"schema version", State::ok, "", ""};
  const auto function = session.query("SELECT to_regprocedure('cutover.schema_version()') IS NOT NULL");
  if (!is_true(function, 0, 0))
    return {check.name, State::fail, "there is no schema cutover",
            "Deploy the migrations: scripts/migrate --url URL deploy."};
  const int version = std::stoi(cell(session.query("SELECT cutover.schema_version()"), 0, 0));
  std::string change = "unknown";
  if (is_true(session.query("SELECT coalesce(has_table_privilege(to_regclass('sqitch.changes'), 'SELECT') "
                            "AND has_schema_privilege('sqitch', 'USAGE'), false)"),
              0, 0)) {
    const auto changes = session.query(
        "SELECT change FROM sqitch.changes WHERE project = 'cutover' ORDER BY committed_at DESC LIMIT 1");
    if (!changes.rows.empty()) change = cell(changes, 0, 0);
  }
  check.found = fmt::format("{} (last change: {}), this build needs {}", version, change, kSchemaVersion);
  if (version < kSchemaVersion) {
    check.state = State::fail;
    check.what_to_do =
        "Deploy the migrations of this release before its workers: scripts/migrate --url URL deploy.";
  }
  return check;
}

Check permissions_check(Session& session) {
  const auto table = session.query(kPermissions);
  std::string missing;
  std::string denied;
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    if (!is_true(table, row, 4))
      missing += (missing.empty() ? "" : ", ") + cell(table, row, 1);
    else if (!is_true(table, row, 5))
      denied +=
          fmt::format("{}{} on {}", denied.empty() ? "" : ", ", cell(table, row, 2), cell(table, row, 1));
  }
  const std::string role = cell(table, 0, 3);
  Check check{"postgres permissions", State::ok, "role " + role + " may do what a worker does", ""};
  if (!missing.empty())
    return {check.name, State::fail, "not there: " + missing,
            "Deploy the migrations; schema app is the monolith's and must be in the same database."};
  if (!denied.empty())
    return {check.name, State::fail, fmt::format("role {} lacks {}", role, denied),
            fmt::format("Grant it the role of its deployment: GRANT cutover_search_projector TO {}; schema "
                        "app is granted by "
                        "the monolith: GRANT USAGE ON SCHEMA app, SELECT ON ALL TABLES.",
                        role)};
  return check;
}

Check indexes_check(Session& session) {
  const auto table = session.query(kMissingIndexes);
  Check check{"indexes of schema app", State::ok, "all there", ""};
  if (table.rows.empty()) return check;
  std::string missing;
  for (std::size_t row = 0; row < table.rows.size(); ++row)
    missing += (row > 0 ? ", " : "") + ("app." + cell(table, row, 0));
  return {check.name, State::fail, "missing: " + missing,
          "Create them (CREATE INDEX CONCURRENTLY): without them every batch reads whole tables."};
}

Check ownership_check(Session& session) {
  const auto table = session.query("SELECT count(DISTINCT worker_id), count(*) FROM cutover.ownership");
  return {"ownership readable", State::ok, cell(table, 0, 1) + " segments", ""};
}

Check postgres_clock_check(Session& session) {
  using std::chrono::microseconds;
  const SystemClock clock;
  const Instant before = clock.now();
  const auto table = session.query("SELECT (extract(epoch FROM clock_timestamp()) * 1e6)::bigint");
  const Instant middle = before + (clock.now() - before) / 2;
  return clock_check("postgres clock", "PostgreSQL's clock",
                     Instant(microseconds(std::stoll(cell(table, 0, 0)))) - middle);
}

// A check that could not look is a failed check with the reason.
Check guarded(const std::string& name, const std::function<Check()>& look) {
  try {
    return look();
  } catch (const std::exception& error) {
    return {name, State::fail, error.what(), "Correct this first, then run doctor again."};
  }
}

}  // namespace

std::vector<Check> check_postgres(const Settings& settings) {
  std::vector<Check> checks;
  std::optional<Session> session;
  try {
    session.emplace(settings.postgres.url, settings.postgres.password, "cutover doctor");
  } catch (const std::exception& error) {
    checks.push_back({"postgres connection", State::fail, error.what(),
                      "Check postgres.url, that the server runs and listens there, and the password."});
    for (const char* name :
         {"postgres version", "postgres writable", "schema version", "postgres permissions"})
      checks.push_back({name, State::skipped, "no connection", ""});
    return checks;
  }
  const auto state = session->query(kServerState);
  checks.push_back(guarded("postgres version", [&] { return version_check(*session, state); }));
  checks.push_back(guarded("postgres writable", [&] { return writable_check(state); }));
  checks.push_back(guarded("postgres connections", [&] { return connections_check(settings, state); }));
  checks.push_back(guarded("postgres extensions", [&] { return extensions_check(*session); }));
  checks.push_back(guarded("schema version", [&] { return schema_check(*session); }));
  checks.push_back(guarded("postgres permissions", [&] { return permissions_check(*session); }));
  checks.push_back(guarded("ownership readable", [&] { return ownership_check(*session); }));
  checks.push_back(guarded("indexes of schema app", [&] { return indexes_check(*session); }));
  checks.push_back(guarded("postgres clock", [&] { return postgres_clock_check(*session); }));
  return checks;
}

}  // namespace cutover::cli
