#include <catch2/catch_test_macros.hpp>

#include "workers/search/payload_reader.h"

using namespace cutover;
using namespace cutover::search;

namespace {

// The payload with the readable bytes behind it that the runtime promises.
class PayloadEvent {
 public:
  PayloadEvent(std::string name, std::string payload) : name_(std::move(name)), bytes_(std::move(payload)) {
    const std::size_t size = bytes_.size();
    bytes_.append(64, '\0');
    event_.event_name = name_;
    event_.payload = std::string_view(bytes_).substr(0, size);
  }
  const Event& operator*() const { return event_; }

 private:
  std::string name_, bytes_;
  Event event_;
};

Touched touched(const std::string& name, const std::string& payload) {
  PayloadEvent event(name, payload);
  PayloadReader reader;
  auto read = reader.read(*event);
  INFO(name << " " << payload);
  REQUIRE(std::holds_alternative<Touched>(read));
  return std::get<Touched>(read);
}

std::string refused(const std::string& name, const std::string& payload) {
  PayloadEvent event(name, payload);
  PayloadReader reader;
  auto read = reader.read(*event);
  INFO(name << " " << payload);
  REQUIRE(std::holds_alternative<Unreadable>(read));
  return std::get<Unreadable>(read).reason;
}

}  // namespace

TEST_CASE("a contact event touches its contact") {
  for (const char* verb : {"edge_upserted", "edge_deleted", "edge_stale_marked", "edge_restored", "merge_contested",
                           "merge_split_applied"}) {
    const Touched t = touched(std::string("contact.") + verb, R"({"contact_id":12,"owner_id":7,"target_id":null})");
    CHECK(t.what == Touched::What::contact);
    CHECK(t.id == 12);
    CHECK(t.owner_id == 7);
  }
}

TEST_CASE("a completed sync touches every contact of its owner") {
  const Touched t = touched("contact.sync_completed", R"({"sync_session_id":"s","owner_id":7,"edges":100000})");
  CHECK(t.what == Touched::What::all_contacts);
  CHECK(t.owner_id == 7);
}

TEST_CASE("a circle event touches the contacts that it names") {
  for (const char* name : {"policy.circle_created", "policy.circle_membership_changed"}) {
    const Touched t = touched(name, R"({"contact_ids":[3,1,2],"circle_id":9,"owner_id":7})");
    CHECK(t.what == Touched::What::circle);
    CHECK(t.contact_ids == std::vector<std::int64_t>{3, 1, 2});
    CHECK(t.owner_id == 7);
    CHECK(touched(name, R"({"circle_id":9,"owner_id":7,"contact_ids":[]})").contact_ids.empty());
  }
}

TEST_CASE("a profile event touches its profile") {
  for (const char* verb : {"created", "updated", "class_changed", "visibility_changed"}) {
    const Touched t = touched(std::string("profile.") + verb, R"({"profile_class":"single","profile_id":5,"owner_principal_id":7})");
    CHECK(t.what == Touched::What::profile);
    CHECK(t.id == 5);
    CHECK(t.owner_id == 7);
  }
}

TEST_CASE("an identity event touches every profile of its principal") {
  for (const char* verb : {"principal_created", "principal_updated", "username_assigned", "username_released",
                           "account_restricted", "account_restored"}) {
    const Touched t = touched(std::string("identity.") + verb, R"({"principal_id":7})");
    CHECK(t.what == Touched::What::principal);
    CHECK(t.owner_id == 7);
  }
}

TEST_CASE("a channel event touches the profiles of its principal and of whoever has the channel now") {
  for (const char* verb : {"claim_verified", "ownership_challenged", "ownership_limited", "dispute_opened",
                           "ownership_transferred", "ownership_recovered", "ownership_revoked"}) {
    const Touched t = touched(std::string("channel.") + verb, R"({"channel_id":4,"principal_id":7,"case_id":1})");
    CHECK(t.what == Touched::What::channel);
    CHECK(t.id == 4);
    CHECK(t.owner_id == 7);
  }
}

TEST_CASE("every event that the worker lists is read by one of these rules") {
  CHECK(event_types().size() == 26);
  for (const EventType& type : event_types()) {
    const Touched t = touched(type.name, R"({"contact_id":1,"owner_id":1,"contact_ids":[1],"profile_id":1,"principal_id":1,"channel_id":1})");
    CHECK((t.what == Touched::What::contact) == (type.name.starts_with("contact.") && type.name != "contact.sync_completed"));
    CHECK((t.what == Touched::What::circle) == type.name.starts_with("policy."));
    CHECK((t.what == Touched::What::profile) == type.name.starts_with("profile."));
    CHECK((t.what == Touched::What::principal) == type.name.starts_with("identity."));
    CHECK((t.what == Touched::What::channel) == type.name.starts_with("channel."));
  }
}

TEST_CASE("an id that is missing or none is named, without the payload") {
  CHECK(refused("contact.edge_upserted", "{}") == "payload.contact_id is missing");
  CHECK(refused("contact.edge_upserted", R"({"contact_id":null})").starts_with("payload.contact_id is no id"));
  CHECK(refused("contact.edge_upserted", R"({"contact_id":"12"})").starts_with("payload.contact_id is no id"));
  CHECK(refused("contact.edge_upserted", R"({"contact_id":1.5})").starts_with("payload.contact_id is no id"));
  CHECK(refused("contact.edge_upserted", R"({"contact_id":0})").starts_with("payload.contact_id is no id"));
  CHECK(refused("contact.edge_upserted", R"({"contact_id":-3})").starts_with("payload.contact_id is no id"));
  CHECK(refused("contact.edge_upserted", R"({"contact_id":9223372036854775808})").starts_with("payload.contact_id is no id"));
  CHECK(refused("contact.edge_upserted", R"({"contact_id":1,"owner_id":"x"})").starts_with("payload.owner_id is no id"));
  CHECK(refused("contact.sync_completed", R"({"edges":3})") == "payload.owner_id is missing");
  CHECK(refused("policy.circle_created", R"({"circle_id":1,"owner_id":1})") == "payload.contact_ids is missing");
  CHECK(refused("policy.circle_created", R"({"contact_ids":{"0":1}})") == "payload.contact_ids is no list of ids");
  CHECK(refused("policy.circle_created", R"({"contact_ids":[1,"2"]})").starts_with("payload.contact_ids is no id"));
  CHECK(refused("profile.updated", R"({"owner_principal_id":1})") == "payload.profile_id is missing");
  CHECK(refused("identity.account_restricted", R"({"principal":1})") == "payload.principal_id is missing");
  CHECK(refused("channel.claim_verified", R"({"principal_id":1})") == "payload.channel_id is missing");
  CHECK(refused("channel.claim_verified", R"({"channel_id":1})") == "payload.principal_id is missing");
  CHECK(refused("profile.updated", "[1]") == "payload is no JSON object");
  CHECK(refused("profile.updated", R"({"profile_id":)").starts_with("payload"));
}

TEST_CASE("hostile payloads are refused or read, never more") {
  PayloadReader reader;
  const std::string nested = R"({"profile_id":)" + std::string(5'000, '[') + std::string(5'000, ']') + "}";
  CHECK(refused("profile.updated", nested).starts_with("payload"));
  std::string many = R"({"contact_ids":[1)";
  for (int i = 2; i <= 20'000; ++i) many += "," + std::to_string(i);
  CHECK(touched("policy.circle_created", many + "]}").contact_ids.size() == 20'000);
  CHECK(touched("profile.updated", R"({"x":{"profile_id":9},"profile_id":5})").id == 5);
}

TEST_CASE("one reader reads one payload after the other") {
  PayloadReader reader;
  for (std::int64_t id = 1; id <= 1'000; ++id) {
    PayloadEvent event("profile.updated", R"({"profile_id":)" + std::to_string(id) + "}");
    auto read = reader.read(*event);
    REQUIRE(std::get<Touched>(read).id == id);
  }
}
