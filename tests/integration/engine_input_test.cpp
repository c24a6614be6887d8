// Events that cannot or need not be worked on.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "fixtures/engine_rig.h"

using namespace cutover;
using namespace cutover::test;
using Catch::Matchers::ContainsSubstring;

namespace {

const std::string kNotUtf8 = "\xff\xfe\xc3";

std::string settled_as(EngineRig& rig, std::uint64_t sequence) {
  return rig.db.value("SELECT string_agg(class::text, '' ORDER BY class) FROM cutover.settlements WHERE sequences @> $1::bigint",
                      {std::to_string(sequence)});
}

}  // namespace

TEST_CASE("malformed events are dead letters at once, beside a batch that is applied", "[engine]") {
  EngineRig rig;
  EventDraft no_key = EngineRig::event(3);
  no_key.idempotency_key = "";
  std::vector<Message> messages;
  messages.push_back(rig.delivery(EngineRig::event(1), 1));
  messages.push_back(rig.source.delivery({"test.thing_done", "{not json", "m-2"}, 2));
  messages.push_back(rig.source.delivery(sending(no_key), 3));
  messages.push_back(rig.source.delivery({"test.thing_done", "", ""}, 4));
  messages.push_back(rig.source.delivery({"test.other_done", EngineRig::event(5).text(), "m-5"}, 5));  // subject is not the name
  rig.process(std::move(messages));
  CHECK(rig.effects(1) == 1);
  CHECK(rig.source.acks() == 5);
  for (std::uint64_t sequence = 2; sequence <= 5; ++sequence) {
    CAPTURE(sequence);
    CHECK(rig.letter("kind || ' ' || attempts", sequence) == "malformed 1");
    CHECK(settled_as(rig, sequence) == "x");
  }
  CHECK(rig.letter("event_id", 2) == "m-2");
  CHECK(rig.letter("event_name || '|' || event_id", 3) == "test.thing_done|" + no_key.id());
  CHECK(rig.letter("convert_from(payload, 'UTF8')", 2) == "{not json");
  CHECK(rig.batches == std::vector<std::size_t>{1});
}

TEST_CASE("a redelivery of a malformed event is settled, also one without any id", "[engine]") {
  EngineRig rig;
  rig.process(rig.source.delivery({"test.thing_done", "{not json", ""}, 1));
  rig.process(rig.source.delivery({"test.thing_done", "{not json", ""}, 1, 2));
  CHECK(rig.source.answers(1, 2).acks == 1);
  CHECK(rig.letter("jsonb_array_length(history)", 1) == "1");
}

TEST_CASE("bytes that are no text reach the dead letter and harm nobody", "[engine]") {
  EngineRig rig;
  Sending wild{"test.thing_done." + kNotUtf8, "{\"event_id\":\"" + kNotUtf8 + "\"}", kNotUtf8};
  wild.headers = {{"Cutover-Key", kNotUtf8}, {"X-Bytes", kNotUtf8}, {"Cutover-For", ""}};
  std::vector<Message> messages;
  messages.push_back(rig.source.delivery(wild, 1));
  messages.push_back(rig.delivery(EngineRig::event(2), 2));
  rig.process(std::move(messages));
  CHECK(rig.effects(2) == 1);
  CHECK(rig.source.acks() == 2);
  CHECK(rig.letter("kind", 1) == "malformed");
  CHECK(rig.letter("encode(payload, 'hex')", 1) == "7b226576656e745f6964223a22fffec3227d");
  CHECK(rig.db.count("SELECT count(*) FROM cutover.attempts") == 0);
  rig.process(rig.source.delivery(wild, 1, 2));
  CHECK(rig.source.answers(1, 2).acks == 1);
}

TEST_CASE("a reason that is no plain text becomes an error that can be read", "[engine]") {
  class Refuser final : public Worker {
   public:
    std::vector<Verdict> handle(std::span<const Event> events, Transaction&) override {
      return std::vector<Verdict>(events.size(), DeadLetter{"first line\r\nNats-Msg-Id: forged\n" + kNotUtf8 + std::string(1, '\0') + std::string(5000, 'x')});
    }
  };
  EngineRig rig({}, std::make_unique<Refuser>());
  rig.process(rig.delivery(EngineRig::event(1), 1));
  CHECK_THAT(rig.letter("error", 1), ContainsSubstring("first line"));
  CHECK(rig.letter("(octet_length(error) <= 2048)", 1) == "true");
  // As a header it must stay one line.
  CHECK(rig.db.value("SELECT (headers ->> 'Cutover-Error') !~ '[\\r\\n]' FROM cutover.outbox") == "t");
}

TEST_CASE("an event that is too large is malformed", "[engine]") {
  EngineRig rig;
  EventDraft large = EngineRig::event(1, "{\"x\":\"" + std::string(300'000, 'y') + "\"}");
  rig.process(rig.delivery(large, 1));
  CHECK(rig.letter("kind", 1) == "malformed");
  CHECK(rig.letter("octet_length(payload)", 1) == std::to_string(large.text().size()));
}

TEST_CASE("a version that is not listed is a dead letter that names what is", "[engine]") {
  EngineRig rig;
  EventDraft newer = EngineRig::event(1), listed = EngineRig::event(2);
  newer.event_version = 3;
  listed.event_version = 2;
  std::vector<Message> messages;
  messages.push_back(rig.delivery(newer, 1));
  messages.push_back(rig.delivery(listed, 2));
  rig.process(std::move(messages));
  CHECK(rig.letter("kind", 1) == "unsupported_version");
  CHECK(rig.letter("error", 1) == "event_version 3 of test.thing_done: this build reads 1 to 2");
  CHECK(rig.effects(2) == 1);
  CHECK(rig.source.acks() == 2);
}

TEST_CASE("names that the worker does not list, and copies for another worker, are settled as not addressed", "[engine]") {
  EngineRig rig;
  EventDraft other = EngineRig::event(1);
  other.event_name = "test.unknown_done";
  Sending for_another = sending(EngineRig::event(2));
  for_another.headers.emplace_back("Cutover-For", "score-orchestrator");
  Sending for_us = sending(EngineRig::event(3));
  for_us.headers.emplace_back("Cutover-For", "test-worker");
  Sending broken_for_another{"test.thing_done", "{", "m", {{"Cutover-For", "score-orchestrator"}}};
  std::vector<Message> messages;
  messages.push_back(rig.delivery(other, 1));
  messages.push_back(rig.source.delivery(for_another, 2));
  messages.push_back(rig.source.delivery(for_us, 3));
  messages.push_back(rig.source.delivery(broken_for_another, 4));
  rig.process(std::move(messages));
  CHECK(settled_as(rig, 1) == "n");
  CHECK(settled_as(rig, 2) == "n");
  CHECK(settled_as(rig, 3) == "a");
  CHECK(settled_as(rig, 4) == "n");
  CHECK(rig.effects(3) == 1);
  CHECK(rig.effects(2) == 0);
  CHECK(rig.db.count("SELECT count(*) FROM cutover.dead_letters") == 0);
  CHECK(rig.source.acks() == 4);
  // A copy for another worker takes no mark: the original is still applied.
  rig.process(rig.delivery(EngineRig::event(2), 9));
  CHECK(rig.effects(2) == 1);
}
