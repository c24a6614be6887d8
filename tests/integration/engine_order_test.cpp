// Ordered workers in the engine: what waits for its predecessor, and what waited too long.
#include <catch2/catch_test_macros.hpp>

#include "fixtures/engine_rig.h"

using namespace cutover;
using namespace cutover::test;
using namespace std::chrono_literals;

namespace {

struct OrderedRig {
  OrderedRig() { rig.db.query("UPDATE cutover.workers SET ordered = true WHERE worker = 'test-worker'"); }
  // Version `number` of one case, at that sequence.
  Message version(std::int64_t number, std::uint64_t deliveries = 1, const std::string& payload = "{}") {
    EventDraft event = EngineRig::event(static_cast<int>(number), payload);
    event.subject_id = "case";
    event.subject_version = number;
    return rig.delivery(event, static_cast<std::uint64_t>(number), deliveries);
  }
  EngineRig rig;
};

}  // namespace

TEST_CASE("an event that comes before its predecessor is given back for a moment, and it is no attempt", "[engine]") {
  OrderedRig ordered;
  EngineRig& rig = ordered.rig;
  rig.process(ordered.version(2));
  CHECK(rig.source.answers(2).naks == std::vector<std::chrono::milliseconds>{250ms});
  CHECK(rig.attempts(2) == 0);
  CHECK(rig.effects(2) == 0);
  CHECK(rig.lane.metrics->deferred.value() == 1);
  rig.process(ordered.version(1));
  rig.process(ordered.version(2, 2));
  CHECK(rig.effects(1) == 1);
  CHECK(rig.effects(2) == 1);
  CHECK(rig.source.answers(2, 2).acks == 1);
}

TEST_CASE("an event that goes on waiting for its predecessor is given back for longer each time", "[engine]") {
  OrderedRig ordered;
  EngineRig& rig = ordered.rig;
  for (const auto& [deliveries, delay] : {std::pair{2, 500ms}, {4, 2'000ms}, {5, 4'000ms}, {500, 4'000ms}}) {
    rig.process(ordered.version(2, static_cast<std::uint64_t>(deliveries)));
    CHECK(rig.source.answers(2, static_cast<std::uint64_t>(deliveries)).naks == std::vector<std::chrono::milliseconds>{delay});
  }
  CHECK(rig.attempts(2) == 0);
}

TEST_CASE("a batch is split where a predecessor was to be tried again", "[engine]") {
  OrderedRig ordered;
  EngineRig& rig = ordered.rig;
  std::vector<Message> batch;
  batch.push_back(ordered.version(1, 1, R"({"do": "retry"})"));
  batch.push_back(ordered.version(2));
  rig.process(std::move(batch));
  CHECK(rig.effects(2) == 0);
  CHECK(rig.attempts(1) == 1);
  CHECK(rig.attempts(2) == 0);
  CHECK(rig.source.answers(1).naks.size() == 1);
  CHECK(rig.source.answers(2).naks == std::vector<std::chrono::milliseconds>{250ms});
}

TEST_CASE("an event whose predecessor stayed missing becomes a dead letter of kind gap", "[engine]") {
  OrderedRig ordered;
  EngineRig& rig = ordered.rig;
  rig.process(ordered.version(2));
  rig.db.query("UPDATE cutover.workers SET gap_limit = '0 s' WHERE worker = 'test-worker'");
  rig.db.query("SELECT cutover.note_settled_below('test-worker', 'worker', 'S', 1, 2)");
  rig.process(ordered.version(2, 2));
  CHECK(rig.source.answers(2, 2).acks == 1);
  CHECK(rig.letter("kind", 2) == "gap");
  CHECK(rig.letter("error", 2) == "version 2 came, and an earlier one stayed missing");
  CHECK(rig.effects(2) == 0);
}
