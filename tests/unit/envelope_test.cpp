#include "runtime/event/envelope.h"

#include <catch2/benchmark/catch_benchmark.hpp>
#include <catch2/catch_test_macros.hpp>

#include "tests/unit/envelope_text.h"

using namespace cutover;
using namespace cutover::test;
using namespace std::chrono_literals;

namespace {

// Every event name of the specification.
constexpr std::string_view kNames[] = {"contact.edge_upserted",
                                       "contact.edge_deleted",
                                       "contact.edge_stale_marked",
                                       "contact.edge_restored",
                                       "contact.merge_contested",
                                       "contact.merge_split_applied",
                                       "contact.sync_completed",
                                       "policy.circle_created",
                                       "policy.circle_membership_changed",
                                       "profile.created",
                                       "profile.updated",
                                       "profile.class_changed",
                                       "profile.visibility_changed",
                                       "identity.principal_created",
                                       "identity.username_released",
                                       "identity.account_restored",
                                       "channel.claim_verified",
                                       "channel.ownership_challenged",
                                       "channel.dispute_opened",
                                       "security.case_opened",
                                       "security.case_evidence_added",
                                       "security.case_reopened",
                                       "trust.restricted",
                                       "trust.restored",
                                       "trust.penalty_decayed",
                                       "score.recompute_requested",
                                       "score.incremental_computed",
                                       "score.backfill_completed",
                                       "dispute.queue_routed"};

std::string in_quotes(std::string_view text) {
  return '"' + std::string(text) + '"';
}

}  // namespace

TEST_CASE("a complete envelope gives every field", "[envelope]") {
  const Parsed parsed(EnvelopeText{},
                      {.nats_subject = "profile.updated",
                       .cutover_key = "17",
                       .traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                       .tracestate = "vendor=1",
                       .place = {"CORE", 2, 99}});
  REQUIRE(parsed.reason() == "");
  const Event& event = parsed.event();
  CHECK(event.event_id == "018f2b6e-7c1a-7abc-8def-0123456789ab");
  CHECK(event.event_name == "profile.updated");
  CHECK(event.event_version == 1);
  CHECK(event.occurred_at ==
        Instant{std::chrono::sys_days{std::chrono::year{2026} / 3 / 1}} + 12h + 34min + 56s + 789012us);
  CHECK(event.producer == "monolith");
  CHECK(event.actor.id == "u-17");
  CHECK(event.actor.type == "user");
  CHECK(event.subject.type == "profile");
  CHECK(event.subject.id == "4711");
  CHECK(event.subject.version == 12);
  CHECK(event.correlation_id == "corr-1");
  CHECK(event.causation_id == "018f2b6e-0000-7abc-8def-0123456789ab");
  CHECK(event.idempotency_key == "profile:4711:12");
  CHECK(event.tenant_scope == "global");
  CHECK(event.payload == R"({"profile_id":4711,"owner_principal_id":17,"profile_class":"single"})");
  CHECK(event.key == "17");
  CHECK(event.nats_subject == "profile.updated");
  CHECK(event.place.stream == "CORE");
  CHECK(event.place.incarnation == 2);
  CHECK(event.place.sequence == 99);
  CHECK(event.traceparent == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  CHECK(event.tracestate == "vendor=1");
}

TEST_CASE("strings without escapes and the payload are views into the message", "[envelope]") {
  const PaddedText body(EnvelopeText{}.text());
  EventArena arena;
  EnvelopeParser parser;
  const auto result = parser.parse({.data = body.view()}, arena);
  const auto inside = [&](std::string_view part) {
    return part.data() >= body.view().data() &&
           part.data() + part.size() <= body.view().data() + body.view().size();
  };
  const Event& event = std::get<Event>(result);
  CHECK(inside(event.event_id));
  CHECK(inside(event.idempotency_key));
  CHECK(inside(event.payload));
  CHECK(inside(event.key));
  CHECK(arena.capacity() == 0);
}

TEST_CASE("an event survives the next parse of the same parser", "[envelope]") {
  const PaddedText first(EnvelopeText{}.set("idempotency_key", R"("one\/\u00e9")").text());
  const PaddedText second(EnvelopeText{}.set("idempotency_key", R"("two\/\u00e8")").text());
  EventArena arena;
  EnvelopeParser parser;
  const auto one = parser.parse({.data = first.view()}, arena);
  const auto two = parser.parse({.data = second.view()}, arena);
  CHECK(std::get<Event>(one).idempotency_key == "one/é");
  CHECK(std::get<Event>(two).idempotency_key == "two/è");
  arena.reset();
  CHECK(arena.capacity() > 0);  // one block stays for the next batch
}

TEST_CASE("fields come in any order, with white space and unknown ones between them", "[envelope]") {
  const std::string text = EnvelopeText{}.reverse().add("later", R"({"a":[1,2,{"b":null}]})").text();
  CHECK(Parsed(text).is_event());
  std::string spaced;
  bool in_string = false;
  for (const char c : text) {
    in_string ^= c == '"';
    const bool structural = !in_string && std::string_view(",:{}[]").find(c) != std::string_view::npos;
    spaced += structural ? std::string(" \n") + c + "\t\r" : std::string(1, c);
  }
  const Parsed parsed(spaced);
  REQUIRE(parsed.reason() == "");
  CHECK(parsed.event().payload.front() == '{');
  CHECK(parsed.event().payload.back() == '}');
  CHECK(parsed.event().subject.version == 12);
}

TEST_CASE("escapes are undone in strings and in field names, and left alone in the payload", "[envelope]") {
  EnvelopeText body;
  body.set("idempotency_key", R"("\u0070r\"of\\ile\/\ud83d\ude00")")
      .remove("producer")
      .add(R"(produc\u0065r)", R"("m\u00f6")");
  body.set("payload", R"({"text":"a\u00e9\n"})");
  const Parsed parsed(body);
  REQUIRE(parsed.reason() == "");
  CHECK(parsed.event().idempotency_key == "pr\"of\\ile/😀");
  CHECK(parsed.event().producer == "mö");
  CHECK(parsed.event().payload == R"({"text":"a\u00e9\n"})");
}

TEST_CASE("every name of the specification is an event name, alone or with a routing token", "[envelope]") {
  for (const std::string_view name : kNames) {
    const EnvelopeText body = EnvelopeText{}.set("event_name", in_quotes(name));
    CHECK(Parsed(body, {.nats_subject = name}).reason() == "");
    const std::string routed = std::string(name) + ".p0";
    const Parsed parsed(body, {.nats_subject = routed});
    REQUIRE(parsed.reason() == "");
    CHECK(parsed.event().nats_subject == routed);
  }
}

TEST_CASE("another subject than the name's is malformed", "[envelope]") {
  for (const std::string_view subject :
       {"profile", "profile.created", "profile.updated.", "profile.updated.a.b", "profile.updatedx",
        "profile.updated.*", "shadow.profile.updated"})
    CHECK(Parsed(EnvelopeText{}, {.nats_subject = subject})
              .reason()
              .starts_with("event_name: is not the NATS subject"));
}

TEST_CASE("the key is the header, else the subject's id", "[envelope]") {
  CHECK(Parsed(EnvelopeText{}, {.cutover_key = "principal:1"}).event().key == "principal:1");
  CHECK(Parsed(EnvelopeText{}).event().key == "4711");
  const Parsed control(EnvelopeText{}, {.cutover_key = "a\nb"});
  CHECK(control.reason() == "header.Cutover-Key: holds bytes that are not text");
  CHECK(control.malformed().key.empty());
  CHECK(Parsed(EnvelopeText{}, {.cutover_key = "\xff"}).reason() ==
        "header.Cutover-Key: holds bytes that are not text");
  const std::string long_key(201, 'k');
  CHECK(Parsed(EnvelopeText{}, {.cutover_key = long_key}).reason() ==
        "header.Cutover-Key: is longer than 200 bytes");
}

TEST_CASE("a trace context that is not W3C's is ignored", "[envelope]") {
  for (const std::string_view bad : {"", "00-xyz", "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
                                     "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                                     "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}) {
    const Parsed parsed(EnvelopeText{}, {.traceparent = bad, .tracestate = "a=b"});
    CHECK(parsed.event().traceparent.empty());
    CHECK(parsed.event().tracestate.empty());
  }
  const Parsed parsed(
      EnvelopeText{},
      {.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", .tracestate = "a=\x01"});
  CHECK_FALSE(parsed.event().traceparent.empty());
  CHECK(parsed.event().tracestate.empty());
}

TEST_CASE("tenant_scope is global unless told otherwise", "[envelope]") {
  CHECK(Parsed(EnvelopeText{}.remove("tenant_scope")).event().tenant_scope == "global");
  CHECK(Parsed(EnvelopeText{}.set("tenant_scope", R"("eu")")).event().tenant_scope == "eu");
}

TEST_CASE("correlation and causation may be empty, not absent", "[envelope]") {
  for (const std::string_view name : {"correlation_id", "causation_id"}) {
    CHECK(Parsed(EnvelopeText{}.set(name, R"("")")).is_event());
    CHECK(Parsed(EnvelopeText{}.remove(name)).reason() == std::string(name) + ": is missing");
    CHECK(Parsed(EnvelopeText{}.set(name, "null")).reason() == std::string(name) + ": must be a string");
  }
}

TEST_CASE("parsing 500 bytes", "[.][benchmark]") {
  const PaddedText body(
      EnvelopeText{}
          .set("payload",
               R"({"profile_id":4711,"owner_principal_id":17,"profile_class":"single","tags":["a","b","c"]})")
          .text());
  INFO("bytes: " << body.view().size());
  EnvelopeParser parser;
  EventArena arena;
  BENCHMARK("parse " + std::to_string(body.view().size()) + " bytes") {
    arena.reset();
    return parser
        .parse({.data = body.view(), .nats_subject = "profile.updated", .cutover_key = "4711"}, arena)
        .index();
  };
}
