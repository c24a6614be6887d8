#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "tests/unit/envelope_text.h"

using namespace cutover;
using namespace cutover::test;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

namespace {

std::string reason_with(std::string_view field, std::string value) {
  return Parsed(EnvelopeText{}.set(field, std::move(value))).reason();
}

std::string nested(int levels) {
  return std::string(static_cast<std::size_t>(levels), '[') +
         std::string(static_cast<std::size_t>(levels), ']');
}

}  // namespace

TEST_CASE("a missing field is named", "[envelope]") {
  const std::string_view field =
      GENERATE(as<std::string_view>{}, "event_id", "event_name", "event_version", "occurred_at", "producer",
               "actor", "subject", "correlation_id", "causation_id", "idempotency_key", "payload");
  CHECK(Parsed(EnvelopeText{}.remove(field)).reason() == std::string(field) + ": is missing");
}

TEST_CASE("a missing field of actor or subject is named", "[envelope]") {
  CHECK(reason_with("actor", R"({"actor_type":"user"})") == "actor.actor_id: is missing");
  CHECK(reason_with("actor", R"({"actor_id":"1"})") == "actor.actor_type: is missing");
  CHECK(reason_with("subject", R"({"subject_id":"1","version":1})") == "subject.subject_type: is missing");
  CHECK(reason_with("subject", R"({"subject_type":"a","version":1})") == "subject.subject_id: is missing");
  CHECK(reason_with("subject", R"({"subject_type":"a","subject_id":"1"})") == "subject.version: is missing");
}

TEST_CASE("a field that appears twice is malformed, also when spelled with an escape", "[envelope]") {
  const Parsed parsed(EnvelopeText{}.add("event_id", R"("018f2b6e-7c1a-7abc-8def-000000000000")"));
  CHECK(parsed.reason() == "event_id: appears twice");
  CHECK(parsed.malformed().event_id.empty());
  CHECK(parsed.malformed().key == "4711");
  const Parsed escaped(
      EnvelopeText{}.add(R"(\u0073ubject)", R"({"subject_type":"a","subject_id":"9","version":1})"));
  CHECK(escaped.reason() == "subject: appears twice");
  CHECK(escaped.malformed().key.empty());
  const Parsed inner(
      EnvelopeText{}.set("subject", R"({"subject_type":"a","subject_id":"1","subject_id":"2","version":1})"));
  CHECK(inner.reason() == "subject.subject_id: appears twice");
  CHECK(inner.malformed().key.empty());
  CHECK(Parsed(EnvelopeText{}.add("unknown", "1").add("unknown", "2")).is_event());
}

TEST_CASE("wrong types are malformed", "[envelope]") {
  for (const std::string_view field : {"event_id", "event_name", "occurred_at", "producer", "correlation_id",
                                       "causation_id", "idempotency_key", "tenant_scope"})
    for (const char* value : {"1", "null", "true", "[]", "{}", R"(["a"])"})
      CHECK(reason_with(field, value) == std::string(field) + ": must be a string");
  for (const std::string_view field : {"actor", "subject", "payload"})
    for (const char* value : {"1", "null", R"("{}")", "[]", "[{}]"})
      CHECK(reason_with(field, value) == std::string(field) + ": must be an object");
  for (const char* value :
       {"0", "-1", "1.0", "1e0", "2147483648", "\"1\"", "null", "{}", "99999999999999999999"})
    CHECK(reason_with("event_version", value) == "event_version: must be an integer from 1");
  CHECK(reason_with("subject", R"({"subject_type":"a","subject_id":4711,"version":1})") ==
        "subject.subject_id: must be a string");
  CHECK(reason_with("subject", R"({"subject_type":"a","subject_id":"1","version":-1})") ==
        "subject.version: must be an integer from 0");
}

TEST_CASE("field rules", "[envelope]") {
  CHECK(reason_with("event_id", R"("018f2b6e7c1a7abc8def0123456789ab")") == "event_id: is not a UUID");
  CHECK(reason_with("event_id", R"("018f2b6e-7c1a-7abc-8def-0123456789ag")") == "event_id: is not a UUID");
  for (const char* name : {R"("profile")", R"("profile.")", R"(".updated")", R"("Profile.updated")",
                           R"("profile.updated.p0")", R"("profile updated.x")", R"("prof-ile.updated")"})
    CHECK(reason_with("event_name", name) == "event_name: is not <domain>.<entity>_<verb>");
  CHECK(reason_with("occurred_at", R"("2026-03-01 12:00:00Z")") ==
        "occurred_at: is not an RFC 3339 time in UTC");
  CHECK(reason_with("occurred_at", R"("2026-03-01T12:00:00+02:00")") ==
        "occurred_at: is not an RFC 3339 time in UTC");
  CHECK(reason_with("actor", R"({"actor_id":"1","actor_type":"root"})") ==
        "actor.actor_type: is not user, system, operator or business_admin");
  for (const char* type : {"user", "system", "operator", "business_admin"})
    CHECK(reason_with("actor", R"({"actor_id":"1","actor_type":")" + std::string(type) + R"("})") == "");
  CHECK(reason_with("producer", R"("")") == "producer: is empty");
  CHECK(reason_with("idempotency_key", R"("")") == "idempotency_key: is empty");
  CHECK(reason_with("tenant_scope", R"("")") == "tenant_scope: is empty");
}

TEST_CASE("strings are limited by their unescaped bytes", "[envelope]") {
  const std::string ascii(200, 'k');
  CHECK(reason_with("idempotency_key", '"' + ascii + '"') == "");
  CHECK(reason_with("idempotency_key", '"' + ascii + "k\"") == "idempotency_key: is longer than 200 bytes");
  std::string escaped;
  for (int i = 0; i < 200; ++i) escaped += "\\u0041";
  CHECK(reason_with("idempotency_key", '"' + escaped + '"') == "");
  CHECK(reason_with("idempotency_key", '"' + escaped + "\\u0041\"") ==
        "idempotency_key: is longer than 200 bytes");
  std::string two_bytes;
  for (int i = 0; i < 101; ++i) two_bytes += "é";
  CHECK(reason_with("correlation_id", '"' + two_bytes + '"') == "correlation_id: is longer than 200 bytes");
}

TEST_CASE("control characters do not reach a field", "[envelope]") {
  for (const char* value : {R"("a\nb")", R"("a\u0001b")", R"("\u007f")", "\"\x7f\""})
    CHECK(reason_with("idempotency_key", value) == "idempotency_key: holds a control character");
  CHECK(reason_with("payload", R"({"text":"a\nb\u0001"})") == "");
}

TEST_CASE("a body that PostgreSQL could not hold as JSON gives nothing", "[envelope]") {
  const auto [body, start, what] = GENERATE(table<std::string, std::string, std::string>({
      {"", "message: ", "is empty"},
      {"   ", "message: ", "is empty"},
      {"{", "byte 0: ", "ends too early"},
      {"[]", "byte 0: ", "is not a JSON object"},
      {"17", "byte 0: ", "is not a JSON object"},
      {"null", "byte 0: ", "is not a JSON object"},
      {R"({"a":1)", "byte 0: ", "ends too early"},
      {R"({"a":1}})", "byte 7: ", "more follows"},
      {R"({"a":1} {"b":2})", "byte 8: ", "more follows"},
      {R"({"a":1,})", "byte 7: ", "not JSON"},
      {R"({"a" 1})", "byte 5: ", "not JSON"},
      {R"({"a":1 "b":2})", "byte 7: ", "not JSON"},
      {R"({"a":"b":1})", "byte 8: ", "not JSON"},
      {R"({"a":{"b":{"c":1}})", "byte 18: ", "not JSON"},
      {R"({"a":[1,2})", "byte 9: ", "not JSON"},
      {R"({"a":[1,]})", "byte 8: ", "is not a JSON value"},
      {R"({a:1})", "byte 1: ", "not JSON"},
      {R"({"a":tru})", "byte 5: ", "is not a JSON value"},
      {R"({"a":nulls})", "byte 5: ", "is not a JSON value"},
      {R"({"a":01})", "byte 5: ", "is not a JSON value"},
      {R"({"a":1.})", "byte 5: ", "is not a JSON value"},
      {R"({"a":+1})", "byte 5: ", "is not a JSON value"},
      {R"({"a":1e9999})", "byte 5: ", "is not a JSON value"},
      {R"({"a":NaN})", "byte 5: ", "is not a JSON value"},
      {R"({"a":'b'})", "byte 5: ", "is not a JSON value"},
      {R"({"a":"b)", "message: ", "a string does not end"},
      {"{\"a\":\"\n\"}", "message: ", "control character"},
      {R"({"a":"\x"})", "byte 6: ", "unknown escape"},
      {R"({"a":"\u12"})", "byte 6: ", "four hex digits"},
      {R"({"a":"\u0000"})", "byte 6: ", "\\u0000"},
      {R"({"a\u0000":1})", "byte 3: ", "\\u0000"},
      {R"({"a":"\ud800"})", "byte 6: ", "high surrogate"},
      {R"({"a":"\ud800\u0041"})", "byte 6: ", "high surrogate"},
      {R"({"a":"\udc00"})", "byte 6: ", "low surrogate"},
      {"{\"a\":\"\xff\"}", "byte 6: ", "is not UTF-8"},
      {"{\"a\":\"\xc0\x80\"}", "byte 6: ", "is not UTF-8"},
      {"{\"a\":\"\xed\xa0\x80\"}", "byte 6: ", "is not UTF-8"},
      {"\xef\xbb\xbf{}", "byte 0: ", "byte order mark"},
  }));
  CAPTURE(body);
  const Parsed parsed(body, {.cutover_key = "from-header", .place = {"CORE", 1, 7}});
  REQUIRE_FALSE(parsed.is_event());
  CHECK_THAT(parsed.reason(), StartsWith(start) && ContainsSubstring(what));
  CHECK(parsed.malformed().key == "from-header");
  CHECK(parsed.malformed().event_id.empty());
  CHECK(parsed.malformed().place.sequence == 7);
}

TEST_CASE("garbage behind a complete field leaves nothing readable", "[envelope]") {
  std::string text = EnvelopeText{}.text();
  text.replace(text.rfind("single"), 1, "\xff");
  const Parsed bad_utf8(text);
  CHECK(bad_utf8.malformed().event_id.empty());
  CHECK(bad_utf8.malformed().key.empty());
  const Parsed unknown(EnvelopeText{}.add("x", "tru"));
  CHECK(unknown.malformed().event_name.empty());
  CHECK(unknown.malformed().key.empty());
}

TEST_CASE("what can be read of a malformed event is kept", "[envelope]") {
  const Parsed parsed(EnvelopeText{}.set("event_version", "0").set("occurred_at", "7"));
  CHECK(parsed.reason() == "event_version: must be an integer from 1");  // the first fault
  CHECK(parsed.malformed().event_id == "018f2b6e-7c1a-7abc-8def-0123456789ab");
  CHECK(parsed.malformed().event_name == "profile.updated");
  CHECK(parsed.malformed().key == "4711");
  CHECK(parsed.malformed().correlation_id == "corr-1");
  const Parsed no_id(EnvelopeText{}.set("event_id", R"("x")").set("event_name", R"("x")"));
  CHECK(no_id.malformed().event_id.empty());
  CHECK(no_id.malformed().event_name.empty());
}

TEST_CASE("size and depth are limited", "[envelope]") {
  const EnvelopeText body = EnvelopeText{}.set("payload", R"({"a":")" + std::string(1000, 'x') + R"("})");
  const std::size_t size = body.text().size();
  CHECK(Parsed(body, {}, {.message_bytes_max = size}).is_event());
  CHECK_THAT(Parsed(body, {}, {.message_bytes_max = size - 1}).reason(), StartsWith("message: has "));
  // The envelope is depth 1 and the payload 2.
  CHECK(reason_with("payload", R"({"a":)" + nested(62) + "}") == "");
  CHECK_THAT(reason_with("payload", R"({"a":)" + nested(63) + "}"),
             ContainsSubstring("nested deeper than 64"));
  CHECK(Parsed(EnvelopeText{}.add("x", nested(63))).is_event());
  CHECK_THAT(Parsed(EnvelopeText{}.add("x", nested(64))).reason(),
             ContainsSubstring("nested deeper than 64"));
  CHECK_THAT(Parsed(EnvelopeText{}.add("x", nested(100'000))).reason(),
             ContainsSubstring("nested deeper than 64"));
  CHECK_THAT(Parsed(std::string(200'000, '[')).reason(), ContainsSubstring("is not a JSON object"));
  CHECK(Parsed(EnvelopeText{}.set("payload", R"({"a":")" + std::string(260'000, 'x') + R"("})")).is_event());
}

TEST_CASE("a reason never repeats the message", "[envelope]") {
  for (const char* field : {"event_id", "event_name", "occurred_at", "producer", "idempotency_key"}) {
    CHECK(reason_with(field, R"("secret\u0001secret")").find("secret") == std::string::npos);
    CHECK(reason_with(field, R"({"secret":"secret"})").find("secret") == std::string::npos);
  }
  CHECK(Parsed(EnvelopeText{}.add("secret", "secret")).reason().find("secret") == std::string::npos);
}
