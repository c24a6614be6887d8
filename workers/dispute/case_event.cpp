#include "workers/dispute/case_event.h"

#include <simdjson.h>

#include <algorithm>
#include <iterator>

namespace cutover::dispute {
namespace {

// The runtime leaves as much behind a payload as simdjson may read.
constexpr std::size_t kReadableBehindPayload = 64;
static_assert(kReadableBehindPayload >= simdjson::SIMDJSON_PADDING);

constexpr std::string_view kTypes[] = {"C1", "C2", "C3", "C4", "C5", "C6"};
constexpr std::string_view kSeverities[] = {"L1", "L2", "L3"};
constexpr std::string_view kTimers[] = {"hold", "cooling", "first_response", "channel"};

// The fields of one payload, until the first that is not as it must be.
class Fields {
 public:
  explicit Fields(simdjson::ondemand::object payload) : payload_(payload) {}
  // Empty while all is well.
  const std::string& problem() const { return problem_; }

  std::int64_t integer(std::string_view name, std::int64_t min, std::int64_t max, std::string_view what) {
    std::int64_t value = 0;
    if (payload_.find_field_unordered(name).get_int64().get(value) != simdjson::SUCCESS || value < min ||
        value > max)
      fails(name, what);
    return value;
  }
  std::int64_t id(std::string_view name) {
    return integer(name, 1, std::numeric_limits<std::int64_t>::max(),
                   "is no id: a whole number from 1 is expected");
  }
  std::optional<std::int64_t> optional_id(std::string_view name) {
    auto value = payload_.find_field_unordered(name);
    bool null = false;
    if (value.error() == simdjson::NO_SUCH_FIELD || (value.is_null().get(null) == simdjson::SUCCESS && null))
      return std::nullopt;
    return id(name);
  }
  // 0 without one.
  std::int64_t optional_integer(std::string_view name) {
    if (payload_.find_field_unordered(name).error() == simdjson::NO_SUCH_FIELD) return 0;
    return integer(name, 0, 1'000'000'000, "is no number");
  }
  bool flag(std::string_view name) {
    bool value = false;
    if (payload_.find_field_unordered(name).get_bool().get(value) != simdjson::SUCCESS)
      fails(name, "is neither true nor false");
    return value;
  }
  Instant time(std::string_view name) {
    std::string_view text;
    std::optional<Instant> at;
    if (payload_.find_field_unordered(name).get_string().get(text) == simdjson::SUCCESS)
      at = parse_timestamp(text);
    if (!at) fails(name, "is no RFC 3339 time in UTC");
    return at.value_or(Instant{});
  }
  template <std::size_t N>
  int choice(std::string_view name, const std::string_view (&names)[N]) {
    std::string_view text;
    if (payload_.find_field_unordered(name).get_string().get(text) != simdjson::SUCCESS) {
      fails(name, "is missing or no text");
      return 0;
    }
    const auto* found = std::find(std::begin(names), std::end(names), text);
    if (found == std::end(names)) fails(name, "is none of the known ones");
    return found == std::end(names) ? 0 : static_cast<int>(found - names);
  }
  std::string_view object(std::string_view name) {
    simdjson::ondemand::object inside;
    std::string_view json;
    if (payload_.find_field_unordered(name).get_object().get(inside) != simdjson::SUCCESS ||
        inside.raw_json().get(json) != simdjson::SUCCESS)
      fails(name, "is missing or no JSON object");
    return json;
  }

 private:
  void fails(std::string_view name, std::string_view what) {
    if (problem_.empty()) problem_ = std::string(name) + " " + std::string(what);
  }
  simdjson::ondemand::object payload_;
  std::string problem_;
};

CaseEvent read_opened(Fields& fields, EvidenceReader& reader) {
  CaseOpened opened;
  opened.case_id = fields.id("case_id");
  opened.type = static_cast<CaseType>(fields.choice("case_type", kTypes));
  opened.severity = static_cast<Severity>(fields.choice("severity", kSeverities));
  opened.principal_id = fields.id("principal_id");
  opened.counterparty_id = fields.optional_id("counterparty_id");
  opened.channel_id = fields.optional_id("channel_id");
  opened.opened_at = fields.time("opened_at");
  opened.verified_business = fields.flag("verified_business");
  const std::string_view json = fields.object("evidence");
  if (!fields.problem().empty()) return Unreadable{fields.problem()};
  auto read = reader.read(json);
  if (auto* wrong = std::get_if<std::string>(&read)) return Unreadable{*wrong};
  opened.fields = std::get<EvidenceFields>(read);
  auto complete = opened.fields.complete(opened.type);
  if (auto* missing = std::get_if<std::string_view>(&complete))
    return Unreadable{"evidence." + std::string(*missing) + " is missing"};
  opened.evidence = std::get<Evidence>(complete);
  return opened;
}

CaseEvent read_added(Fields& fields, EvidenceReader& reader) {
  EvidenceAdded added;
  added.case_id = fields.id("case_id");
  added.material = fields.flag("material");
  const std::string_view json = fields.object("evidence");
  if (!fields.problem().empty()) return Unreadable{fields.problem()};
  auto read = reader.read(json);
  if (auto* wrong = std::get_if<std::string>(&read)) return Unreadable{*wrong};
  added.fields = std::get<EvidenceFields>(read);
  return added;
}

// An appeal's id is negative.
std::int64_t any_case_id(Fields& fields) {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  return fields.integer("case_id", -kMost, kMost, "is no id");
}

}  // namespace

struct CaseEventReader::Parser {
  simdjson::ondemand::parser parser;
};

CaseEventReader::CaseEventReader() : parser_(std::make_unique<Parser>()) {}
CaseEventReader::~CaseEventReader() = default;

CaseEvent CaseEventReader::read(const Event& event) {
  simdjson::padded_string_view text(event.payload.data(), event.payload.size(),
                                    event.payload.size() + kReadableBehindPayload);
  simdjson::ondemand::document document;
  simdjson::ondemand::object object;
  if (parser_->parser.iterate(text).get(document) != simdjson::SUCCESS ||
      document.get_object().get(object) != simdjson::SUCCESS)
    return Unreadable{"payload is no JSON object"};
  Fields fields(object);
  if (event.event_name == "dispute.queue_routed") {
    QueueRouted routed;
    routed.case_id = any_case_id(fields);
    routed.version = fields.integer("version", 1, std::numeric_limits<std::int64_t>::max(), "is no version");
    routed.lane = static_cast<Lane>(fields.integer("lane", 0, 3, "is no lane"));
    routed.again = static_cast<int>(fields.optional_integer("again"));
    if (!fields.problem().empty()) return Unreadable{fields.problem()};
    return routed;
  }
  if (event.event_name == "dispute.timer_fired") {
    TimerFired fired;
    fired.case_id = any_case_id(fields);
    fired.timer = static_cast<Timer>(fields.choice("timer", kTimers));
    fired.due = fields.time("due");
    fired.version = fields.optional_integer("version");
    fired.again = static_cast<int>(fields.optional_integer("again"));
    if (!fields.problem().empty()) return Unreadable{fields.problem()};
    return fired;
  }
  CaseEvent read;
  if (event.event_name == "security.case_opened")
    read = read_opened(fields, evidence_);
  else if (event.event_name == "security.case_evidence_added")
    read = read_added(fields, evidence_);
  else
    read = CaseReopened{fields.id("case_id")};
  if (!fields.problem().empty()) return Unreadable{fields.problem()};
  if (std::holds_alternative<Unreadable>(read)) return read;
  if (event.subject.version < 1) return Unreadable{"subject.version is not a version from 1 on"};
  if (event.subject.id != std::to_string(case_id_of(read)))
    return Unreadable{"subject.subject_id is not the payload's case_id"};
  return read;
}

std::int64_t case_id_of(const CaseEvent& event) {
  return std::visit(
      [](const auto& e) {
        if constexpr (requires { e.case_id; })
          return e.case_id;
        else
          return std::int64_t{0};
      },
      event);
}

std::string_view name_of(Timer timer) noexcept {
  return kTimers[static_cast<int>(timer)];
}

std::vector<EventType> event_types() {
  std::vector<EventType> types;
  for (const char* name : {"security.case_opened", "security.case_evidence_added", "security.case_reopened",
                           "dispute.queue_routed", "dispute.timer_fired"})
    types.push_back({name});
  return types;
}

}  // namespace cutover::dispute
