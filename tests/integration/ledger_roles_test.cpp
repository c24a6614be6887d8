// What the database roles of a deployment may do with the ledger, and what they may not.
#include <catch2/catch_test_macros.hpp>

#include "fixtures/ledger_session.h"
#include "runtime/engine/ports.h"

using namespace cutover;
using namespace cutover::test;

namespace {

constexpr const char* kWorker = "search-projector";

struct Roles {
  Roles() { db.query("SELECT cutover.stream_incarnation('S', '2026-01-01T00:00:00Z')"); }
  // SQLSTATE of a statement that a role runs; empty when it may.
  std::string state(const std::string& role, const std::string& sql) {
    LedgerSession session(db, kWorker);
    session.begin();
    session.connection.run("SET LOCAL ROLE " + role);
    try {
      session.connection.run(sql);
    } catch (const StatementError& e) {
      session.rollback();
      return e.sqlstate;
    }
    session.rollback();
    return "";
  }
  TestDatabase db;
};

constexpr const char* kDenied = "42501";

}  // namespace

TEST_CASE("a worker's role claims and settles", "[ledger]") {
  Roles roles;
  for (const std::string role : {"cutover_worker", "cutover_search_projector", "cutover_monolith"}) {
    CAPTURE(role);
    LedgerSession session(roles.db, kWorker);
    session.begin();
    session.connection.run("SET LOCAL ROLE " + role);
    CHECK(session.claim("S", 1, {ledger_event(1)}).serving == "a");
    session.settle("a");
    session.rollback();
  }
}

TEST_CASE("nobody writes the ledger past its functions", "[ledger]") {
  Roles roles;
  for (const std::string role : {"cutover_worker", "cutover_monolith", "cutover_relay", "cutover_operator"}) {
    for (const std::string table : {"marks", "marks_0", "marks_1", "settlements", "skipped", "ownership", "streams", "workers", "mark_slot", "dead_letters"}) {
      CAPTURE(role, table);
      CHECK(roles.state(role, "DELETE FROM cutover." + table) == kDenied);
    }
    CHECK(roles.state(role, "INSERT INTO cutover.marks_0 VALUES ('00000000-0000-0000-0000-000000000001', 1, 1)") == kDenied);
    CHECK(roles.state(role, "INSERT INTO cutover.settlements VALUES (1, 1, 'w', 'a', '{[1,2)}', '[1,2)', NULL)") == kDenied);
  }
}

TEST_CASE("each role reads and calls what its work needs, and no more", "[ledger]") {
  Roles roles;
  CHECK(roles.state("cutover_worker", "SELECT cutover.rotate_marks(1000000)") == "");
  CHECK(roles.state("cutover_monolith", "SELECT cutover.rotate_marks(1000000)") == kDenied);
  CHECK(roles.state("cutover_relay", "SELECT cutover.claim('search-projector', 'worker', 'i', 'S', 1, '{1}', '{a}', '{k}', '{m}', '{1}', '{0}')") == kDenied);
  CHECK(roles.state("cutover_operator", "SELECT * FROM cutover.settlements") == "");
  CHECK(roles.state("cutover_relay", "UPDATE cutover.outbox SET published_at = now()") == "");
  CHECK(roles.state("cutover_relay", "SELECT pg_try_advisory_xact_lock(cutover.lock_class_relay(), 1)") == "");
  CHECK(roles.state("cutover_monolith", "INSERT INTO cutover.outbox (message_id, subject, key, payload) VALUES ('m', 's', 'k', '')") == "");
  CHECK(roles.state("cutover_monolith", "DELETE FROM cutover.outbox WHERE timer_key = 'none'") == "");  // it cancels its timers
  CHECK(roles.state("cutover_monolith", "TRUNCATE cutover.outbox") == kDenied);
}

TEST_CASE("operators change ownership through its functions, workers and the monolith do not", "[ledger]") {
  Roles roles;
  const std::string lock = "SELECT pg_advisory_xact_lock(cutover.lock_class_worker(), worker_id) FROM cutover.workers WHERE worker = 'search-projector'";
  const std::vector<std::string> calls = {
      "SELECT * FROM cutover.append_segments('search-projector', 'monolith', 0, 'me', 'because', '{S}', '{1}', '{0}')",
      "SELECT cutover.start_incarnation('S', '2026-02-01', 'me', 'because')",
      "SELECT cutover.log_operation('me', 'switch', NULL, NULL, 'because', NULL, 'done', NULL)",
      "SELECT cutover.pass_version('search-projector', 'k', 1)",
      "SELECT cutover.seize_replays('search-projector', 1)",
  };
  for (const std::string& call : calls) {
    CAPTURE(call);
    LedgerSession session(roles.db, kWorker);
    session.begin();
    session.connection.run("SET LOCAL ROLE cutover_operator");
    session.connection.run(lock);
    CHECK_NOTHROW(session.connection.run(call));
    session.rollback();
    for (const std::string role : {"cutover_worker", "cutover_search_projector", "cutover_monolith", "cutover_relay"}) {
      CAPTURE(role);
      CHECK(roles.state(role, call) == kDenied);
    }
  }
  for (const std::string role : {"cutover_worker", "cutover_monolith", "cutover_relay", "cutover_operator"}) {
    CAPTURE(role);
    CHECK(roles.state(role, "INSERT INTO cutover.ownership (worker_id, epoch, stream_id, from_sequence, mode, actor, reason) VALUES (1, 1, 1, 1, 'worker', 'a', 'b')") == kDenied);
    for (const std::string table : {"ownership", "operator_log"}) {
      CHECK(roles.state(role, "UPDATE cutover." + table + " SET reason = 'x'") == kDenied);
      CHECK(roles.state(role, "DELETE FROM cutover." + table) == kDenied);
    }
    CHECK(roles.state(role, "INSERT INTO cutover.operator_log (actor, command, reason, result) VALUES ('a', 'b', 'c', 'd')") == kDenied);
    CHECK(roles.state(role, "INSERT INTO cutover.aggregates VALUES (1, false, 'k', '{}')") == kDenied);
  }
}
