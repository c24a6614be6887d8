#include <catch2/catch_test_macros.hpp>

#include "workers/search/documents.h"
#include "workers/search/search_worker.h"
#include "workers/search/source_walk.h"

using namespace cutover;
using namespace cutover::search;

TEST_CASE("a document's name is its source and id, there and back") {
  CHECK(document_id(Source::contact, 12) == "contact:12");
  CHECK(document_id(Source::profile, 7) == "profile:7");
  for (Source source : {Source::contact, Source::profile})
    for (std::int64_t id : {std::int64_t{1}, std::int64_t{42}, std::int64_t{999'999'999'999'999'999}}) {
      auto key = parse_document_id(document_id(source, id));
      REQUIRE(key);
      CHECK(key->source == source);
      CHECK(key->id == id);
    }
}

TEST_CASE("what no document can be called is no name") {
  for (const char* name : {"", "contact:", "contact:0", "contact:012", "contact:-1", "contact:1x", "contact: 1", "circle:1",
                           "profile:1000000000000000000", "Contact:1", "12"})
    CHECK_FALSE(parse_document_id(name));
}

TEST_CASE("names of documents become a step with ascending ids, and the nameless apart") {
  const WalkStep step = step_of({"contact:10", "contact:9", "profile:3", "nothing", "profile:20"});
  CHECK(step.contacts.ids == std::vector<std::int64_t>{9, 10});
  CHECK(step.profiles.ids == std::vector<std::int64_t>{3, 20});
  CHECK(step.nameless == std::vector<std::string>{"nothing"});
  CHECK(step.contacts.streams.size() == 2);
  CHECK(step.contacts.sequences.size() == 2);
}

TEST_CASE("the phases of a walk have names") {
  for (auto phase : {WalkPlace::Phase::contacts, WalkPlace::Phase::profiles, WalkPlace::Phase::leftovers, WalkPlace::Phase::done})
    CHECK(phase_named(name_of(phase)) == phase);
  CHECK_THROWS_AS(phase_named("elsewhere"), std::invalid_argument);
}

TEST_CASE("the worker's lanes read disjoint subjects, those that hide something first") {
  const WorkerSpec spec = search_projector_spec(std::make_shared<SearchSettings>());
  CHECK(spec.name == "search-projector");
  CHECK(spec.concurrency == 2);
  std::vector<std::string> filters;
  int channel = 9, contact = 0;
  for (const LaneSpec& lane : spec.lanes) {
    filters.push_back(lane.stream + " " + lane.filter_subject);
    if (lane.name == "channel") channel = lane.priority;
    if (lane.name == "contact") contact = lane.priority;
  }
  CHECK(filters == std::vector<std::string>{"CORE channel.>", "CORE identity.>", "CORE profile.>", "CORE policy.>", "CONTACT contact.>"});
  CHECK(channel < contact);
  for (const EventType& type : spec.events) {
    const std::string family = type.name.substr(0, type.name.find('.'));
    int lanes = 0;
    for (const LaneSpec& lane : spec.lanes) lanes += lane.filter_subject == family + ".>";
    CHECK(lanes == 1);
  }
  REQUIRE(spec.make);
  CHECK(spec.make() != nullptr);
  std::vector<std::string> chores;
  for (const Chore& chore : spec.chores) chores.push_back(chore.name + (chore.shadow ? " in shadow" : ""));
  CHECK(chores == std::vector<std::string>{"jobs", "shadow-jobs in shadow", "merge", "watermark"});
}
