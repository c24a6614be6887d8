#include "workers/search/payload_reader.h"

#include <simdjson.h>

namespace cutover::search {
namespace {

// The runtime leaves as much behind a payload as simdjson may read.
constexpr std::size_t kReadableBehindPayload = 64;
static_assert(kReadableBehindPayload >= simdjson::SIMDJSON_PADDING);

Touched::What what_of(std::string_view event_name) {
  if (event_name == "contact.sync_completed") return Touched::What::all_contacts;
  switch (event_name.front()) {
    case 'p': return event_name.starts_with("policy.") ? Touched::What::circle : Touched::What::profile;
    case 'i': return Touched::What::principal;
    default: return event_name.starts_with("channel.") ? Touched::What::channel : Touched::What::contact;
  }
}

// The fields of one payload, until the first that is not as it must be.
class Fields {
 public:
  explicit Fields(simdjson::ondemand::object payload) : payload_(payload) {}
  // Empty while all is well.
  const std::string& problem() const { return problem_; }

  std::int64_t id(std::string_view name) {
    auto value = payload_.find_field_unordered(name);
    if (value.error() == simdjson::NO_SUCH_FIELD) return fails(name, "is missing");
    return id_in(value, name);
  }
  // 0 without one.
  std::int64_t optional_id(std::string_view name) {
    auto value = payload_.find_field_unordered(name);
    bool null = false;
    if (value.error() == simdjson::NO_SUCH_FIELD || (value.is_null().get(null) == simdjson::SUCCESS && null)) return 0;
    return id_in(value, name);
  }
  std::vector<std::int64_t> ids(std::string_view name) {
    std::vector<std::int64_t> found;
    auto value = payload_.find_field_unordered(name);
    simdjson::ondemand::array array;
    if (value.error() == simdjson::NO_SUCH_FIELD)
      fails(name, "is missing");
    else if (value.get_array().get(array) != simdjson::SUCCESS)
      fails(name, "is no list of ids");
    else
      for (auto element : array) {
        found.push_back(id_in(element, name));
        if (!problem_.empty()) break;
      }
    return found;
  }

 private:
  std::int64_t id_in(simdjson::simdjson_result<simdjson::ondemand::value> value, std::string_view name) {
    std::int64_t id = 0;
    if (value.get_int64().get(id) != simdjson::SUCCESS || id < 1) return fails(name, "is no id: a whole number from 1 is expected");
    return id;
  }
  std::int64_t fails(std::string_view name, std::string_view how) {
    if (problem_.empty()) problem_ = "payload." + std::string(name) + " " + std::string(how);
    return 0;
  }

  simdjson::ondemand::object payload_;
  std::string problem_;
};

Touched read_ids(Fields& fields, Touched::What what) {
  Touched touched;
  touched.what = what;
  switch (what) {
    case Touched::What::contact:
      touched.id = fields.id("contact_id");
      touched.owner_id = fields.optional_id("owner_id");
      break;
    case Touched::What::circle:
      touched.contact_ids = fields.ids("contact_ids");
      touched.owner_id = fields.optional_id("owner_id");
      break;
    case Touched::What::all_contacts: touched.owner_id = fields.id("owner_id"); break;
    case Touched::What::profile:
      touched.id = fields.id("profile_id");
      touched.owner_id = fields.optional_id("owner_principal_id");
      break;
    case Touched::What::principal: touched.owner_id = fields.id("principal_id"); break;
    case Touched::What::channel:
      touched.id = fields.id("channel_id");
      touched.owner_id = fields.id("principal_id");
      break;
  }
  return touched;
}

}  // namespace

struct PayloadReader::Parser {
  simdjson::ondemand::parser parser;
};

PayloadReader::PayloadReader() : parser_(std::make_unique<Parser>()) {}
PayloadReader::~PayloadReader() = default;

std::variant<Touched, Unreadable> PayloadReader::read(const Event& event) {
  simdjson::padded_string_view text(event.payload.data(), event.payload.size(),
                                    event.payload.size() + kReadableBehindPayload);
  simdjson::ondemand::document document;
  simdjson::ondemand::object object;
  if (parser_->parser.iterate(text).get(document) != simdjson::SUCCESS ||
      document.get_object().get(object) != simdjson::SUCCESS)
    return Unreadable{"payload is no JSON object"};
  Fields fields(object);
  Touched touched = read_ids(fields, what_of(event.event_name));
  if (!fields.problem().empty()) return Unreadable{fields.problem()};
  return touched;
}

std::vector<EventType> event_types() {
  std::vector<EventType> types;
  for (const char* name :
       {"contact.edge_upserted", "contact.edge_deleted", "contact.edge_stale_marked", "contact.edge_restored",
        "contact.merge_contested", "contact.merge_split_applied", "contact.sync_completed", "policy.circle_created",
        "policy.circle_membership_changed", "profile.created", "profile.updated", "profile.class_changed",
        "profile.visibility_changed", "identity.principal_created", "identity.principal_updated",
        "identity.username_assigned", "identity.username_released", "identity.account_restricted",
        "identity.account_restored", "channel.claim_verified", "channel.ownership_challenged",
        "channel.ownership_limited", "channel.dispute_opened", "channel.ownership_transferred",
        "channel.ownership_recovered", "channel.ownership_revoked"})
    types.push_back({name});
  return types;
}

}  // namespace cutover::search
