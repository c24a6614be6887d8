// Dead letters as SQL: sealed plans, replays, hand-overs, drops, edits, export and import, and who is
// refused.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <unistd.h>

#include <future>

#include "fixtures/event_draft.h"
#include "fixtures/ledger_session.h"
#include "fixtures/waiting.h"
#include "runtime/engine/ports.h"

using namespace cutover;
using namespace cutover::test;
using Catch::Matchers::ContainsSubstring;

namespace {

// Letters of search-projector on stream S, and an operator.
struct Letters {
  explicit Letters(bool ordered = false)
      : worker(db, "search-projector"), monolith(db, "search-projector", "monolith") {
    db.query("SELECT cutover.stream_incarnation('S', '2026-01-01T00:00:00Z')");
    if (ordered) db.query("SELECT cutover.register_worker('search-projector', true)");
  }

  // Gives one event up, as a worker does; `plan` of the event: on replay. Returns the claim's answer.
  std::string fail(const LedgerEvent& event, const std::string& error = "refused", int incarnation = 1) {
    worker.begin();
    const std::string answer = worker.claim("S", incarnation, {event}).serving;
    if (answer != "a") return worker.rollback(), answer;
    const std::string body = R"({"version": )" + std::to_string(event.version) + "}";
    worker.connection.run(R"sql(
SELECT cutover.write_dead_letter('search-projector', 'worker', false, 'i-1', 'build', 'S', $7::bigint::integer, $1::bigint, $2::text, 'test.thing_done', 'lane',
  'test.thing_done', $3::text, 'global', $4::text, $5::bigint, 'rejected', $6::text, $6::text, 1, NULL,
  timestamptz '2026-01-02T00:00:00Z' + $1::bigint * interval '1 s',
  '[["traceparent", "00-b"], ["Nats-Msg-Id", "m"], ["X", "1"], ["X", null, "/w=="], ["Cutover-Key", "k"]]', convert_to($8::text, 'UTF8')))sql",
                          {event.sequence, std::string_view(event.event_id), std::string_view(event.key),
                           std::string_view(event.mark).substr(event.mark.find('\x1f') + 1), event.version,
                           std::string_view(error), std::int64_t{incarnation}, std::string_view(body)});
    worker.settle("x");
    worker.commit();
    return answer;
  }
  std::int64_t seal(const std::string& filter = "{}", bool hand_over = false,
                    const std::string& limit = "NULL") {
    return db.count("SELECT cutover.seal_replay($1::jsonb, " + limit + ", " + (hand_over ? "true" : "false") +
                        ", 'me', 'because')",
                    {filter});
  }
  std::int64_t begin(std::int64_t plan) {
    return db.count("SELECT cutover.begin_replay($1::bigint, 'me', 'because')", {std::to_string(plan)});
  }
  std::int64_t send(std::int64_t plan, std::int64_t run, std::int64_t taken, std::int64_t limit = 1000) {
    return db.count(
        "SELECT cutover.send_replay($1::bigint, $2::integer, $3::bigint, $4::bigint)",
        {std::to_string(plan), std::to_string(run), std::to_string(taken), std::to_string(limit)});
  }
  // Seals what matches and sends it; returns the plan.
  std::int64_t replay(const std::string& filter = "{}", bool hand_over = false) {
    const std::int64_t plan = seal(filter, hand_over);
    send(plan, begin(plan), 0);
    return plan;
  }
  std::string outcomes(std::int64_t plan) {
    return db.value("SELECT cutover.replay_progress($1::bigint) ->> 'outcomes'", {std::to_string(plan)});
  }
  std::string states() {
    return db.value(
        "SELECT string_agg(state || coalesce(' ' || result, ''), ', ' ORDER BY letter_id) FROM "
        "cutover.dead_letters");
  }
  // SQLSTATE of a refusal, or "done".
  std::string refusal(const std::string& sql) {
    try {
      db.query(sql);
    } catch (const StatementError& e) {
      return e.sqlstate;
    }
    return "done";
  }
  std::string edit(std::int64_t letter, const LedgerEvent& event, const std::string& payload,
                   int entries = 1) {
    return refusal("SELECT cutover.edit_letter(" + std::to_string(letter) + ", " + std::to_string(entries) +
                   ", '" + payload + "', '" + event.event_id + "', 'test.thing_done', '" + event.key +
                   "', 'global', '" + event.mark.substr(event.mark.find('\x1f') + 1) + "', " +
                   std::to_string(event.version) + ", '[{\"path\": \"/version\"}]', 'me', 'because')");
  }
  TestDatabase db;
  LedgerSession worker, monolith;
};

LedgerEvent on_replay(LedgerEvent event, std::int64_t plan) {
  event.plan = plan;
  return event;
}

}  // namespace

TEST_CASE("a plan sends exactly what was sealed: later letters are not of it, changed ones are passed over",
          "[redrive]") {
  Letters letters;
  for (int i = 1; i <= 4; ++i) letters.fail(ledger_event(i));
  const std::int64_t plan = letters.seal();
  letters.fail(ledger_event(5));
  CHECK(letters.refusal("SELECT cutover.drop_letters('{1}', NULL, 'me', 'because')") == "done");
  CHECK(letters.edit(2, ledger_event(2), R"({"version": 7})") == "done");
  const std::int64_t other = letters.replay(R"({"letters": [3]})");
  CHECK(letters.fail(on_replay(ledger_event(3), other), "refused again") == "a");

  CHECK(letters.send(plan, letters.begin(plan), 0) == 4);
  CHECK(letters.outcomes(plan) == R"({"changed": 3, "in flight": 1})");
  CHECK(letters.states() == "dropped, open, open failed again, replaying, open");
  CHECK(letters.db.count(
            "SELECT jsonb_array_length(history) FROM cutover.dead_letters WHERE letter_id = 3") == 2);
  CHECK(letters.db.value(
            "SELECT string_agg(message_id, ' ') FROM cutover.outbox WHERE subject LIKE 'replay.%'") ==
        "replay:2:S:3:3 replay:1:S:4:4");
}

TEST_CASE("a plan keeps the order of the stream, whatever the broker's clock said", "[redrive]") {
  Letters letters;
  for (const int sequence : {2, 3, 1}) letters.fail(ledger_event(sequence));
  letters.db.query("UPDATE cutover.dead_letters SET published_at = '2025-01-01' WHERE sequence = 3");
  const std::int64_t plan = letters.seal("{}", false, "2");
  CHECK(letters.db.value("SELECT string_agg(d.sequence::text, ' ' ORDER BY i.position) FROM "
                         "cutover.replay_items i JOIN cutover.dead_letters d USING (letter_id)") == "1 2");
  CHECK(letters.db.count("SELECT letters FROM cutover.replay_plans WHERE plan_id = " +
                         std::to_string(plan)) == 2);
  CHECK(letters.db.value("SELECT length(hash) FROM cutover.replay_plans") == "64");
}

TEST_CASE("a replay carries bytes, headers and place of the original, to the side that owns it",
          "[redrive]") {
  Letters letters;
  letters.fail(ledger_event(7));
  const std::int64_t plan = letters.replay();
  CHECK(letters.db.value("SELECT subject || ' ' || key || ' ' || convert_from(payload, 'UTF8') FROM "
                         "cutover.outbox WHERE subject LIKE 'replay.%'") ==
        "replay.search-projector.worker.lane subject of event 7 {\"version\": 0}");
  const std::string headers =
      letters.db.value("SELECT headers FROM cutover.outbox WHERE subject LIKE 'replay.%'");
  CHECK_THAT(headers,
             ContainsSubstring(
                 R"([["traceparent", "00-b"], ["X", "1"], ["X", null, "/w=="], ["Cutover-Plan", "1"])") &&
                 ContainsSubstring(R"(["Cutover-Origin-Sequence", "7"])") &&
                 ContainsSubstring(R"(["Cutover-Origin-Event-Id", ")" + ledger_event(7).event_id));

  SECTION("applied, it is closed, and a redelivery of it changes nothing") {
    CHECK(letters.worker.work("S", 1, {on_replay(ledger_event(7), plan)}) == "a");
    CHECK(letters.worker.work("S", 1, {on_replay(ledger_event(7), plan)}) == "=");
    CHECK(letters.worker.work("S", 1, {ledger_event(7)}) == "=");
    CHECK(letters.outcomes(plan) == R"({"replayed": 1})");
    CHECK(letters.states() == "replayed applied");
  }
  SECTION("failed again, it comes back with its history") {
    CHECK(letters.fail(on_replay(ledger_event(7), plan), "still refused") == "a");
    CHECK(letters.outcomes(plan) == R"({"failed again": 1})");
    CHECK(letters.states() == "open failed again");
    CHECK(letters.db.value("SELECT jsonb_path_query_array(history, '$.error')::text || attempts FROM "
                           "cutover.dead_letters") == R"(["refused", "still refused"]2)");
  }
  SECTION("not listed by the worker any more, it is closed as such") {
    letters.worker.begin();
    letters.worker.claim("S", 1, {on_replay(ledger_event(7), plan)});
    letters.worker.settle("n");
    letters.worker.commit();
    CHECK(letters.outcomes(plan) == R"({"not addressed": 1})");
    CHECK(letters.states() == "replayed not addressed");
  }
}

TEST_CASE("a letter whose work was done elsewhere is reported as already applied", "[redrive]") {
  Letters letters;
  letters.fail(ledger_event(1));
  letters.db.query("DELETE FROM cutover.marks_0");
  LedgerEvent copy = ledger_event(2, "event 1");
  CHECK(letters.worker.work("S", 1, {copy}) == "a");
  const std::int64_t plan = letters.replay();
  CHECK(letters.worker.work("S", 1, {on_replay(ledger_event(1), plan)}) == "d");
  CHECK(letters.outcomes(plan) == R"({"already applied": 1})");
}

TEST_CASE("a replay that is late is published again, and the claim takes one of the two", "[redrive]") {
  Letters letters;
  letters.fail(ledger_event(1));
  const std::int64_t plan = letters.replay();
  const std::string again = "SELECT cutover.republish_replays('1 min', 10)";
  letters.db.query("UPDATE cutover.replay_items SET sent_at = now() - interval '90 s'");
  CHECK(letters.db.count(again) == 0);  // it waits in the outbox
  letters.db.query("UPDATE cutover.outbox SET published_at = now()");
  CHECK(letters.db.count(again) == 1);
  CHECK(letters.db.value("SELECT string_agg(message_id, ' ' ORDER BY outbox_id) FROM cutover.outbox WHERE "
                         "subject LIKE 'replay.%'") == "replay:1:S:1:1 replay:1:S:1:1:2");
  letters.db.query("UPDATE cutover.outbox SET published_at = now()");
  letters.db.query("UPDATE cutover.replay_items SET sent_at = now() - interval '90 s'");
  CHECK(letters.db.count(again) == 0);  // twice as long this time
  letters.db.query("UPDATE cutover.replay_items SET sent_at = now() - interval '130 s'");
  CHECK(letters.db.count(again) == 1);
  CHECK(letters.worker.work("S", 1, {on_replay(ledger_event(1), plan)}) == "a");
  CHECK(letters.worker.work("S", 1, {on_replay(ledger_event(1), plan)}) == "=");
  letters.db.query("UPDATE cutover.outbox SET published_at = now()");
  letters.db.query("UPDATE cutover.replay_items SET sent_at = now() - interval '1 day'");
  CHECK(letters.db.count(again) == 0);
}

TEST_CASE("a replay that is redelivered while its first delivery is being worked on is applied once",
          "[redrive]") {
  Letters letters;
  letters.fail(ledger_event(1));
  const std::int64_t plan = letters.replay();
  LedgerSession second(letters.db, "search-projector", "worker", "two");
  letters.worker.begin();
  REQUIRE(letters.worker.claim("S", 1, {on_replay(ledger_event(1), plan)}).serving == "a");
  auto answer =
      std::async(std::launch::async, [&] { return second.work("S", 1, {on_replay(ledger_event(1), plan)}); });
  REQUIRE(eventually([&] {
    return letters.db.count(
               "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type "
               "= 'Lock'") > 0;
  }));
  SECTION("the second finds it settled when the first commits") {
    letters.worker.settle("a");
    letters.worker.commit();
    CHECK(answer.get() == "=");
  }
  SECTION("the second applies it when the first rolls back") {
    letters.worker.rollback();
    CHECK(answer.get() == "a");
  }
  CHECK(letters.states() == "replayed applied");
}

TEST_CASE(
    "a plan that was cut off goes on with its run; a stopped one begins another; two processes do not share "
    "one",
    "[redrive]") {
  Letters letters;
  for (int i = 1; i <= 3; ++i) letters.fail(ledger_event(i));
  const std::int64_t plan = letters.seal();
  const std::string number = std::to_string(plan);
  CHECK(letters.begin(plan) == 1);
  CHECK(letters.send(plan, 1, 0, 1) == 1);
  CHECK(letters.begin(plan) == 1);
  CHECK(letters.refusal("SELECT cutover.send_replay(" + number + ", 1, 0, 1)") == "CU007");
  CHECK(letters.db.value("SELECT cutover.end_replay(" + number + ", 1, 'enough', 'me', 'because')") ==
        "stopped");
  CHECK(letters.refusal("SELECT cutover.send_replay(" + number + ", 1, 1, 1)") == "CU007");
  CHECK(letters.begin(plan) == 2);
  CHECK(letters.send(plan, 2, 0) == 2);
  CHECK(letters.worker.work("S", 1,
                            {on_replay(ledger_event(1), plan), on_replay(ledger_event(2), plan),
                             on_replay(ledger_event(3), plan)}) == "aaa");
  CHECK(letters.db.value("SELECT cutover.end_replay(" + number + ", 2, NULL, 'me', 'because')") == "done");
  CHECK(letters.refusal("SELECT cutover.begin_replay(" + number + ", 'me', 'because')") == "CU007");
  CHECK(letters.db.value(
            "SELECT string_agg(command || ' ' || result, ', ' ORDER BY log_id) FROM cutover.operator_log") ==
        "dlq replay --plan done, dlq replay --execute started, dlq replay --execute started, dlq replay "
        "--execute stopped, "
        "dlq replay --execute started, dlq replay --execute done");
}

TEST_CASE("what touches disputes, identity or scores needs another login's approval", "[redrive]") {
  Letters letters;
  letters.fail(ledger_event(1));
  letters.fail(ledger_event(2));
  letters.db.query(
      "UPDATE cutover.dead_letters SET subject = 'identity.principal_created' WHERE sequence = 1");
  CHECK(letters.db.value("SELECT cutover.guarded_area('search-projector', 'channel.dispute_opened') || "
                         "cutover.guarded_area('search-projector', 'security.case_opened') "
                         "|| cutover.guarded_area('dispute-processor', 'x') || "
                         "cutover.guarded_area('score-orchestrator', 'x')") ==
        "disputesdisputesdisputesscores");
  const std::int64_t plain = letters.seal(R"({"letters": [2]})");
  CHECK(letters.refusal("SELECT cutover.approve_replay(" + std::to_string(plain) + ", 'anna', 'checked')") ==
        "CU007");
  const std::string plan = std::to_string(letters.seal());
  CHECK(letters.refusal("SELECT cutover.begin_replay(" + plan + ", 'me', 'because')") == "CU006");
  CHECK(letters.refusal("SELECT cutover.approve_replay(" + plan + ", 'anna', 'checked')") == "CU006");
  CHECK(letters.refusal("SELECT cutover.begin_replay(" + plan + ", 'me', 'because')") == "CU006");

  const std::string login = "anna_" + std::to_string(::getpid());
  letters.db.query("CREATE ROLE " + login + " LOGIN IN ROLE cutover_operator");
  {
    postgres::Connection anna(letters.db.options("anna"));
    anna.connect();
    anna.run("SET SESSION AUTHORIZATION " + login);
    anna.run("SELECT cutover.approve_replay($1::text::bigint, 'anna', 'checked')", {std::string_view(plan)});
  }
  CHECK(letters.refusal("SELECT cutover.begin_replay(" + plan + ", 'me', 'because')") == "done");
  CHECK(letters.db.value("SELECT approved_login FROM cutover.replay_plans WHERE plan_id = " + plan) == login);
  CHECK(letters.db.value("SELECT login FROM cutover.operator_log WHERE command = 'dlq approve'") == login);
  letters.db.query("DROP ROLE " + login);
}

TEST_CASE(
    "a letter that is handed over is closed, frees its key, and a copy of it leaves for the owner of new "
    "events",
    "[redrive]") {
  Letters letters;
  letters.fail(ledger_event(1));
  const std::int64_t plan = letters.replay("{}", true);
  CHECK(letters.outcomes(plan) == R"({"handed over": 1})");
  CHECK(letters.states() == "handed over");
  CHECK(letters.db.value(
            "SELECT subject || ' ' || key || ' ' || (headers ->> 'Cutover-For') || ' ' || (headers ->> "
            "'Cutover-Republished-From') || ' ' "
            "|| (headers ->> 'traceparent') FROM cutover.outbox WHERE message_id LIKE 'replay:%'") ==
        "test.thing_done subject of event 1 search-projector S/1/1 00-b");
  CHECK(letters.worker.work("S", 1, {ledger_event(1)}) == "=");
  CHECK(letters.worker.work("S", 1, {ledger_event(9, "event 1")}) == "a");
}

TEST_CASE("a dropped letter keeps its key, and what waits for its version goes on", "[redrive]") {
  Letters letters(true);
  LedgerEvent first = ledger_event(1), second = ledger_event(2);
  first.key = second.key = "case 1";
  first.version = 1;
  second.version = 2;
  letters.fail(first);
  CHECK(letters.worker.work("S", 1, {second}) == "w");
  CHECK(letters.db.count("SELECT cutover.drop_letters('{1}', NULL, 'me', 'a test event')") == 1);
  CHECK(letters.db.count("SELECT cutover.drop_letters('{1}', NULL, 'me', 'again')") == 0);
  CHECK(letters.worker.work("S", 1, {second}) == "a");
  LedgerEvent copy = first;
  copy.sequence = 3;
  copy.event_id = uuid_of("copy");
  CHECK(letters.worker.work("S", 1, {copy}) == "d");
  CHECK(letters.db.value("SELECT history -> 1 ->> 'dropped_by' FROM cutover.dead_letters") == "me");
}

TEST_CASE("the letter of a second copy is dropped without its version: the key lives elsewhere",
          "[redrive]") {
  Letters letters(true);
  LedgerEvent first = ledger_event(1), second = ledger_event(2);
  first.key = second.key = "case 1";
  first.version = 1;
  second.version = 2;
  letters.fail(first);
  letters.db.query("UPDATE cutover.marks_0 SET sequence = 9");
  CHECK(letters.db.count("SELECT cutover.drop_letters('{1}', NULL, 'me', 'because')") == 1);
  CHECK(letters.worker.work("S", 1, {second}) == "w");
}

TEST_CASE("a replay never applies an older version over a newer one", "[redrive]") {
  Letters letters(true);
  LedgerEvent first = ledger_event(1), second = ledger_event(2);
  first.key = second.key = "case 1";
  first.version = 1;
  second.version = 2;
  letters.fail(first);
  const std::string file =
      letters.db.value("SELECT jsonb_agg(cutover.letter_document(d)) FROM cutover.dead_letters d");
  letters.db.query("SELECT cutover.drop_letters('{1}', NULL, 'me', 'a mistake')");
  CHECK(letters.worker.work("S", 1, {second}) == "a");
  letters.db.query("SELECT cutover.import_letters($1::jsonb, 'me', 'it was needed', false)", {file});
  const std::int64_t plan = letters.replay();
  CHECK(letters.worker.work("S", 1, {on_replay(first, plan)}) == "d");
  CHECK(letters.outcomes(plan) == R"({"already applied": 1})");
}

TEST_CASE("of an edited letter only the edit is sent, and it must be the same event", "[redrive]") {
  Letters letters;
  LedgerEvent event = ledger_event(1);
  event.version = 3;
  letters.fail(event);
  LedgerEvent other = event;
  other.event_id = uuid_of("other");
  CHECK(letters.edit(1, other, "x") == "CU008");
  other = event;
  other.version = 4;
  CHECK(letters.edit(1, other, "x") == "CU008");
  other = event;
  other.key = "another";
  CHECK(letters.edit(1, other, "x") == "CU008");
  CHECK(letters.edit(1, event, "x", 2) == "CU007");
  CHECK(letters.edit(1, event, R"({"version": 3, "right": true})") == "done");
  CHECK(letters.edit(1, event, R"({"version": 3, "right": 1})", 2) == "done");
  letters.replay();
  CHECK(letters.db.value(
            "SELECT convert_from(payload, 'UTF8') FROM cutover.outbox WHERE subject LIKE 'replay.%'") ==
        R"({"version": 3, "right": 1})");
  CHECK(letters.db.value("SELECT convert_from(original, 'UTF8') FROM cutover.dead_letters") ==
        R"({"version": 3})");
  CHECK(letters.edit(1, event, "x", 3) == "CU007");
  CHECK(letters.db.value(
            "SELECT detail ->> 'changes' FROM cutover.operator_log WHERE command = 'dlq edit' LIMIT 1") ==
        R"([{"path": "/version"}])");
}

TEST_CASE("an edit that makes an unreadable event readable gives its letter a key and work of its own",
          "[redrive]") {
  Letters letters;
  LedgerEvent unreadable = ledger_event(1);
  unreadable.key.clear();
  unreadable.mark.clear();
  letters.worker.begin();
  letters.worker.claim("S", 1, {unreadable});
  letters.worker.connection.run(R"sql(
SELECT cutover.write_dead_letter('search-projector', 'worker', false, 'i-1', 'build', 'S', 1, 1, $1::text, '', 'lane', 'test.thing_done', '', '', '', 0,
  'malformed', 'byte 1', 'byte <n>', 1, NULL, now(), '[]', 'x'))sql",
                                {std::string_view(unreadable.event_id)});
  letters.worker.settle("x");
  letters.worker.commit();
  CHECK(letters.edit(1, ledger_event(1, "readable"), "{}") == "done");
  const std::int64_t plan = letters.replay();
  LedgerEvent replayed = ledger_event(1, "readable");
  replayed.event_id = unreadable.event_id;  // that of the letter, from its header
  CHECK(letters.worker.work("S", 1, {on_replay(replayed, plan)}) == "a");
  CHECK(letters.outcomes(plan) == R"({"replayed": 1})");
  CHECK(letters.worker.work("S", 1, {ledger_event(2, "readable")}) == "d");
}

TEST_CASE("exported letters are written elsewhere byte by byte, at a place that is nobody else's",
          "[redrive]") {
  Letters here, there;
  here.fail(ledger_event(1));
  here.db.query("UPDATE cutover.dead_letters SET payload = '\\x00ff0a', original = '\\x01'");
  const std::string file =
      here.db.value("SELECT jsonb_agg(cutover.letter_document(d)) FROM cutover.dead_letters d");
  const std::string import = "SELECT cutover.import_letters($1::jsonb, 'me', 'because', $2::boolean)";
  there.db.query("UPDATE cutover.streams SET created_at = '2026-02-02'");
  there.db.query("UPDATE cutover.workers SET first_owner = 'monolith'");
  CHECK(there.db.value(import, {file, "t"}) == R"({"imported": 1, "already_here": 0, "opened_again": 0})");
  CHECK(there.db.count("SELECT count(*) FROM cutover.streams") == 1);
  CHECK(there.db.value(import, {file, "f"}) == R"({"imported": 1, "already_here": 0, "opened_again": 0})");
  CHECK(there.db.value(import, {file, "f"}) == R"({"imported": 0, "already_here": 1, "opened_again": 0})");
  CHECK(there.db.value("SELECT d.payload::text || d.original::text || s.incarnation || d.state FROM "
                       "cutover.dead_letters d JOIN cutover.streams s USING (stream_id)") ==
        "\\x00ff0a\\x01-1open");
  CHECK(there.db.value("SELECT headers FROM cutover.dead_letters") ==
        here.db.value("SELECT headers FROM cutover.dead_letters"));
  // The events of the stream that is there go on, and the letter is replayed by whoever owns events there.
  CHECK(there.monolith.work("S", 1, {ledger_event(1, "another")}) == "a");
  const std::int64_t plan = there.replay();
  CHECK(there.db.value("SELECT subject FROM cutover.outbox WHERE subject LIKE 'replay.%'") ==
        "replay.search-projector.monolith.lane");
  CHECK(there.monolith.work("S", -1, {on_replay(ledger_event(1), plan)}) == "a");

  SECTION("one that was dropped here is opened again; the same life of a stream is the same place") {
    here.db.query("SELECT cutover.drop_letters('{1}', NULL, 'me', 'because')");
    CHECK(here.db.value(import, {file, "f"}) == R"({"imported": 0, "already_here": 0, "opened_again": 1})");
    CHECK(here.states() == "open");
    CHECK(here.db.count("SELECT count(*) FROM cutover.streams") == 1);
    const std::int64_t again = here.replay();
    CHECK(here.worker.work("S", 1, {on_replay(ledger_event(1), again)}) == "a");
  }
  SECTION("a worker that nobody knows is refused") {
    here.db.query("UPDATE cutover.workers SET worker = 'other' WHERE worker = 'search-projector'");
    CHECK(here.refusal("SELECT cutover.import_letters('[{\"worker\": \"search-projector\"}]', 'me', "
                       "'because', false)") == "CU001");
  }
}

TEST_CASE("filters compose", "[redrive]") {
  Letters letters;
  for (int i = 1; i <= 3; ++i) letters.fail(ledger_event(i), i == 3 ? "another problem" : "refused");
  letters.db.query("UPDATE cutover.dead_letters SET last_failed_at = '2026-01-01' WHERE sequence = 1");
  const auto count = [&](const std::string& filter) {
    return letters.db.count("SELECT count(*) FROM cutover.letters($1::jsonb)", {filter});
  };
  const std::string group = letters.db.value("SELECT group_id FROM cutover.dead_letters WHERE sequence = 1");
  CHECK(count("{}") == 3);
  CHECK(count(R"({"group": ")" + group + R"("})") == 2);
  CHECK(count(R"({"group": ")" + group + R"(", "since": "2026-01-02"})") == 1);
  CHECK(
      count(
          R"({"group": ")" + group +
          R"(", "until": "2026-01-02", "kind": "rejected", "worker": "search-projector", "stream": "S"})") ==
      1);
  CHECK(
      count(
          R"({"lane": "lane", "event": "test.thing_done", "key": "subject of event 3", "state": "open"})") ==
      1);
  CHECK(count(R"({"worker": "score-orchestrator"})") == 0);
  CHECK(count(R"({"letters": [1, 3, 99]})") == 2);
  CHECK(count(R"({"state": "replayed"})") == 0);
}

TEST_CASE("only operators replay, drop and edit", "[redrive]") {
  Letters letters;
  letters.fail(ledger_event(1));
  for (const char* call :
       {"cutover.seal_replay('{}', NULL, false, 'me', 'x')", "cutover.drop_letters('{1}', NULL, 'me', 'x')",
        "cutover.begin_replay(1, 'me', 'x')", "cutover.import_letters('[]', 'me', 'x', false)"})
    for (const char* role : {"cutover_worker", "cutover_monolith", "cutover_relay"}) {
      INFO(call << " as " << role);
      letters.worker.begin();
      letters.worker.connection.run(std::string("SET LOCAL ROLE ") + role);
      CHECK_THROWS_AS(letters.worker.connection.run(std::string("SELECT ") + call), StatementError);
      letters.worker.rollback();
    }
  letters.worker.begin();
  letters.worker.connection.run("SET LOCAL ROLE cutover_operator");
  CHECK(letters.worker.connection.run("SELECT cutover.seal_replay('{}', NULL, false, 'me', 'x')")
            ->integer(0, 0) == 1);
  letters.worker.rollback();
}
