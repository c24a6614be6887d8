#include "runtime/policy/audit.h"

#include <vector>

#include <catch2/catch_test_macros.hpp>

using namespace cutover;

namespace {

SequenceSet range(std::uint64_t begin, std::uint64_t end) {
  return SequenceSet({begin, end});
}

// A worker that is through up to 20, with everything to 15 acknowledged; a monolith that is at 10, nothing
// open.
const Readers kReaders{{20, 15}, ConsumerPosition{10, 10}};

Segment segment(Mode mode, int percent_hundredths = 0) {
  return {.epoch = 1,
          .incarnation = 1,
          .from_sequence = 1,
          .mode = mode,
          .percent_hundredths = percent_hundredths};
}

Unsettled judged(std::uint64_t sequence, const std::vector<Segment>& segments,
                 std::optional<std::string_view> key = "key") {
  return judge(sequence, key, {segments, 1}, kReaders);
}

}  // namespace

TEST_CASE("what was settled twice counts once", "[audit]") {
  LedgerView view;
  view.applied = range(1, 11);
  view.duplicate = range(11, 13);
  view.dead_letter = range(5, 7) | range(12, 16);  // 5, 6 and 12 were replayed
  view.other_side = range(15, 20);
  view.seized = range(20, 22);
  view.not_addressed = range(22, 23);
  AuditCounts counts;
  CHECK(count_settled(view, counts) == range(1, 23));
  CHECK(counts[AuditClass::applied] == 10);
  CHECK(counts[AuditClass::duplicate] == 2);
  CHECK(counts[AuditClass::dead_letter] == 3);
  CHECK(counts[AuditClass::other_side] == 4);
  CHECK(counts[AuditClass::seized] == 2);
  CHECK(counts[AuditClass::not_addressed] == 1);
  CHECK(counts[AuditClass::stranded] == 0);
}

TEST_CASE("a letter that is open is a dead letter, whatever else was settled at its place", "[audit]") {
  LedgerView view;
  view.applied = range(1, 5);  // the broker lost the event of 3 and stored another one there
  view.dead_letter = range(3, 4);
  view.unresolved = range(3, 4) | range(50, 51);  // 50: the monolith's letter
  view.other_side = range(50, 51);
  AuditCounts counts;
  count_settled(view, counts);
  CHECK(counts[AuditClass::applied] == 3);
  CHECK(counts[AuditClass::dead_letter] == 1);
  CHECK(counts[AuditClass::other_side] == 1);
}

TEST_CASE("only what its owner's consumer acknowledged is stranded", "[audit]") {
  CHECK(judged(15, {segment(Mode::worker)}) == Unsettled::stranded);
  CHECK(judged(16, {segment(Mode::worker)}) == Unsettled::in_flight);
  CHECK(judged(21, {segment(Mode::worker)}) == Unsettled::in_flight);
  CHECK(judged(12, {}) == Unsettled::stranded);
  CHECK(judged(12, {segment(Mode::monolith)}) == Unsettled::in_flight);
  CHECK(judged(12, {segment(Mode::shadow)}) == Unsettled::in_flight);
  CHECK(judged(10, {segment(Mode::shadow)}) == Unsettled::stranded);
}

TEST_CASE("in a canary the key decides, and is asked for only where the sides differ", "[audit]") {
  const std::vector<Segment> half{segment(Mode::canary, 5'000)};
  CHECK(judged(12, half, std::nullopt) == Unsettled::key_needed);
  CHECK(judged(9, half, std::nullopt) == Unsettled::stranded);
  CHECK(judged(30, half, std::nullopt) == Unsettled::in_flight);
  CHECK(judged(12, {segment(Mode::worker)}, std::nullopt) == Unsettled::stranded);
  CHECK(bucket("subject-5097") == 99);
  const std::vector<Segment> one{segment(Mode::canary, 100)};
  CHECK(judged(12, one, "subject-5097") == Unsettled::stranded);   // the worker's
  CHECK(judged(12, one, "subject-2347") == Unsettled::in_flight);  // the monolith's
}

TEST_CASE("without a known consumer nothing is said about the monolith's events", "[audit]") {
  const Readers worker_only{{20, 15}, std::nullopt};
  CHECK(judge(3, "key", {{segment(Mode::monolith)}, 1}, worker_only) == Unsettled::unknown);
  CHECK(judge(3, "key", {{segment(Mode::worker)}, 1}, worker_only) == Unsettled::stranded);
  CHECK(judge(3, "key", {{}, 1, Side::worker}, worker_only) == Unsettled::stranded);
  CHECK(judge(3, "key", {{}, 1, Side::monolith}, worker_only) ==
        Unsettled::unknown);  // nothing was decided yet
}
