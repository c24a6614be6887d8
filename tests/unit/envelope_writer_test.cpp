#include "runtime/event/envelope_writer.h"

#include <random>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "tests/unit/envelope_text.h"

using namespace cutover;
using namespace cutover::test;

namespace {

// Random valid text of up to `most` bytes: ASCII that needs escaping, accents, emoji; no control characters.
std::string random_text(std::mt19937_64& random, std::size_t least, std::size_t most) {
  static const std::string_view kPieces[] = {"a", "Z", "0", "\"", "\\", "/", " ",
                                             ":", "{", "é", "ß",  "漢", "😀", "\\u0041"};
  std::string text;
  const std::size_t wanted = least + random() % (most - least + 1);
  while (text.size() < wanted) {
    const std::string_view piece = kPieces[random() % std::size(kPieces)];
    if (text.size() + piece.size() > most)
      text += 'x';
    else
      text += piece;
  }
  return text;
}

}  // namespace

TEST_CASE("what is written is read back as the same event", "[envelope]") {
  std::mt19937_64 random(20260301);
  for (int round = 0; round < 2000; ++round) {
    const std::string producer = random_text(random, 1, 200), actor = random_text(random, 1, 200);
    const std::string type = random_text(random, 1, 50), id = random_text(random, 1, 200);
    const std::string correlation = random_text(random, 0, 200), causation = random_text(random, 0, 200);
    const std::string key = random_text(random, 1, 200), tenant = random_text(random, 1, 30);
    const std::string payload =
        nlohmann::json{{random_text(random, 0, 9), random_text(random, 0, 99)}, {"n", random()}}.dump();
    Event event;
    event.event_id = "018f2b6e-7c1a-7abc-8def-0123456789ab";
    event.event_name = "profile.updated";
    event.event_version = static_cast<int>(1 + random() % 2'147'483'647);
    event.occurred_at =
        Instant{std::chrono::microseconds{static_cast<std::int64_t>(random() % 253'402'300'799'999'999)}};
    event.producer = producer;
    event.actor = {actor, "operator"};
    event.subject = {type, id, static_cast<std::int64_t>(random() >> 1)};
    event.correlation_id = correlation;
    event.causation_id = causation;
    event.idempotency_key = key;
    event.tenant_scope = tenant;
    event.payload = payload;
    std::string written = "before";
    write_envelope(event, written);
    REQUIRE(written.starts_with("before{"));
    const Parsed parsed(written.substr(6), {.nats_subject = "profile.updated"});
    REQUIRE(parsed.reason() == "");
    const Event& back = parsed.event();
    CHECK(back.event_id == event.event_id);
    CHECK(back.event_name == event.event_name);
    CHECK(back.event_version == event.event_version);
    CHECK(back.occurred_at == event.occurred_at);
    CHECK(back.producer == producer);
    CHECK(back.actor.id == actor);
    CHECK(back.actor.type == "operator");
    CHECK(back.subject.type == type);
    CHECK(back.subject.id == id);
    CHECK(back.subject.version == event.subject.version);
    CHECK(back.correlation_id == correlation);
    CHECK(back.causation_id == causation);
    CHECK(back.idempotency_key == key);
    CHECK(back.tenant_scope == tenant);
    CHECK(back.payload == payload);
    CHECK(nlohmann::json::parse(written.substr(6)).at("producer") == producer);
  }
}

TEST_CASE("every control character is escaped", "[envelope]") {
  std::string all;
  for (char c = 0; c < 0x20; ++c) all += c;
  all += "\"\\\x7f";
  Event event;
  event.producer = all;
  event.payload = "{}";
  std::string written;
  write_envelope(event, written);
  CHECK(nlohmann::json::parse(written).at("producer") == all);
}

TEST_CASE("an event without a tenant is read back as global", "[envelope]") {
  Event event;
  event.payload = "{}";
  std::string written;
  write_envelope(event, written);
  CHECK_FALSE(nlohmann::json::parse(written).contains("tenant_scope"));
}
