// Plan and apply against a server.

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "fixtures/broker_driver.h"
#include "fixtures/real_broker.h"
#include "streams/topology_plan.h"

using namespace cutover;
using namespace cutover::test;
using nlohmann::json;

namespace {

Topology topology_of(std::vector<json> configs) {
  Topology topology;
  for (json& config : configs)
    topology.streams.push_back({config["name"], config["name"].get<std::string>() + ".json", config});
  return topology;
}

std::vector<std::string> texts(const std::vector<Change>& changes) {
  std::vector<std::string> all;
  for (const Change& change : changes) all.push_back(to_text(change));
  return all;
}

std::string refusal(const Topology& topology, StreamAdmin& admin, bool allow_destructive = false) {
  try {
    apply(topology, admin, allow_destructive);
  } catch (const TopologyError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("the project's topology is made, and then there is nothing to do", "[streams]") {
  RealBroker broker;
  Topology topology = load_topology(CUTOVER_SOURCE_DIR "/streams");
  CHECK(plan(topology, broker.admin).size() == 8);
  CHECK(broker.admin.streams().empty());
  CHECK(apply(topology, broker.admin).size() == 8);
  CHECK(plan(topology, broker.admin).empty());
  CHECK(apply(topology, broker.admin).empty());
  auto publisher = broker.publisher();
  for (const char* subject :
       {"profile.updated", "contact.edge_upserted", "score.recompute_requested", "score.snapshot_published",
        "search.x", "dlq.w.main", "replay.w.worker.main", "shadow.a.b"})
    CHECK(publish_numbers(*publisher, subject, 1, 1)[0].error == "");
}

TEST_CASE("differences are named, field by field, and made", "[streams]") {
  RealBroker broker;
  broker.admin.create_stream(
      {{"name", "A"}, {"subjects", {"a.1"}}, {"max_msgs", 100}, {"description", "kept"}});
  broker.admin.create_stream({{"name", "OTHER"}, {"subjects", {"other"}}});
  Topology topology =
      topology_of({{{"name", "A"}, {"subjects", {"a.2", "a.1"}}, {"max_msgs", -1}, {"storage", "file"}},
                   {{"name", "B"}, {"subjects", {"b"}}}});
  CHECK(texts(plan(topology, broker.admin)) ==
        std::vector<std::string>{"A: max_msgs 100 -> unlimited", R"(A: subjects ["a.1"] -> ["a.2","a.1"])",
                                 R"(B: create for ["b"])",
                                 "OTHER: is on the server but in no file; left alone"});
  CHECK(apply(topology, broker.admin).size() == 3);
  json config = (*broker.admin.stream("A"))["config"];
  CHECK(config["subjects"].size() == 2);
  CHECK(config["max_msgs"] == -1);
  CHECK(config["description"] == "kept");
  CHECK(broker.admin.stream("B"));
  CHECK(broker.admin.stream("OTHER"));
}

TEST_CASE("what would lose messages is refused as a whole, unless it is meant", "[streams]") {
  RealBroker broker;
  broker.admin.create_stream({{"name", "A"}, {"subjects", {"a", "b"}}});
  publish_numbers(*broker.publisher(), "a", 1, 10);
  Topology topology = topology_of(
      {{{"name", "A"}, {"subjects", {"a"}}, {"max_msgs", 3}}, {{"name", "B"}, {"subjects", {"b"}}}});
  std::string why = refusal(topology, broker.admin);
  CHECK(why.starts_with(
      "nothing was changed: this would lose something; use --allow-destructive if it is meant:\n"));
  CHECK(why.find("  A: max_msgs unlimited -> 3 (destructive: ") != std::string::npos);
  CHECK(why.find("(destructive: new messages on b are no longer kept here)") != std::string::npos);
  CHECK_FALSE(broker.admin.stream("B"));
  CHECK((*broker.admin.stream("A"))["state"]["messages"] == 10);

  // The subject moves from one stream to the other.
  CHECK(apply(topology, broker.admin, true).size() == 3);
  CHECK((*broker.admin.stream("A"))["state"]["messages"] == 3);
  CHECK(broker.admin.stream("B"));
}

TEST_CASE("what the server cannot do is refused before anything is done, even when losses are meant",
          "[streams]") {
  RealBroker broker;
  broker.admin.create_stream(
      {{"name", "B"}, {"subjects", {"b"}}, {"storage", "file"}, {"retention", "limits"}});
  std::string why = refusal(topology_of({{{"name", "A"}, {"subjects", {"a"}}},
                                         {{"name", "B"}, {"subjects", {"b"}}, {"retention", "workqueue"}}}),
                            broker.admin, true);
  CHECK(why.starts_with(
      "nothing was changed: the server cannot do this:\n  B: retention limits -> workqueue (impossible: "));
  CHECK_FALSE(broker.admin.stream("A"));

  broker.admin.create_stream({{"name", "OTHER"}, {"subjects", {"a.*"}}});
  why = refusal(topology_of({{{"name", "A"}, {"subjects", {"a.>"}}}}), broker.admin, true);
  CHECK(why.find("subject a.> overlaps with a.* of stream OTHER") != std::string::npos);
  CHECK_FALSE(broker.admin.stream("A"));
}

TEST_CASE("a refusal of the server on the way tells what was changed before", "[streams]") {
  RealBroker broker;
  Topology topology = topology_of(
      {{{"name", "A"}, {"subjects", {"a"}}}, {{"name", "B"}, {"subjects", {"b"}}, {"num_replicas", 3}}});
  try {
    apply(topology, broker.admin);
    FAIL("a single server made three copies");
  } catch (const BrokerError& error) {
    std::string what = error.what();
    CHECK(what.find("stream B: ") != std::string::npos);
    CHECK(what.find("replicas > 1 not supported in non-clustered mode") != std::string::npos);
    CHECK(what.find("changed before that:\n  A: create for [\"a\"]\napply again when this is solved") !=
          std::string::npos);
  }
  topology.streams[1].config["num_replicas"] = 1;
  CHECK(texts(apply(topology, broker.admin)) == std::vector<std::string>{R"(B: create for ["b"])"});
}

TEST_CASE("streams and consumers are administered as raw JSON", "[nats]") {
  RealBroker broker;
  StreamAdmin& admin = broker.admin;
  CHECK_FALSE(admin.stream("A"));
  CHECK_FALSE(admin.delete_stream("A"));
  CHECK(admin.create_stream({{"name", "A"}, {"subjects", {"a"}}})["config"]["name"] == "A");
  CHECK_THROWS_AS(admin.create_stream({{"name", "B"}, {"subjects", {"a"}}}), ApiRefusal);
  CHECK_THROWS_AS(admin.create_stream({{"subjects", {"a"}}}), BrokerError);
  CHECK(admin.update_stream({{"name", "A"}, {"subjects", {"a", "b"}}})["config"]["subjects"].size() == 2);
  admin.put_consumer("A", {{"durable_name", "c"}, {"ack_policy", "explicit"}});
  CHECK(admin.consumers("A").size() == 1);
  CHECK((*admin.consumer("A", "c"))["name"] == "c");
  CHECK(admin.delete_consumer("A", "c"));
  CHECK_FALSE(admin.delete_consumer("A", "c"));
  CHECK_FALSE(admin.consumer("A", "c"));
  CHECK_FALSE(admin.consumer("NONE", "c"));
  CHECK(admin.delete_stream("A"));
  // More than one page of the API.
  for (int i = 0; i < 300; ++i)
    admin.create_stream(
        {{"name", "S" + std::to_string(i)}, {"subjects", {"s." + std::to_string(i)}}, {"storage", "memory"}});
  CHECK(admin.streams().size() == 300);
}
