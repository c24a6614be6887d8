#include "workers/dispute/evidence_fields.h"

#include <simdjson.h>

namespace cutover::dispute {
namespace {

struct Flag {
  std::string_view name;
  std::optional<bool> EvidenceFields::*field;
};
struct Count {
  std::string_view name;
  std::optional<std::int64_t> EvidenceFields::*field;
  std::int64_t max;
};
struct Number {
  std::string_view name;
  std::optional<double> EvidenceFields::*field;
  double min, max;
};

using F = EvidenceFields;

constexpr std::int64_t kCountMax = 1'000'000'000'000;
constexpr double kNumberMax = 1e12;
constexpr std::string_view kClaimedAt = "claimed_at";

constexpr Flag kFlags[] = {{"incumbent_otp", &F::incumbent_otp},
                           {"challenger_otp", &F::challenger_otp},
                           {"otp", &F::otp},
                           {"old_owner_disputed", &F::old_owner_disputed},
                           {"auto_applied", &F::auto_applied},
                           {"requester_confirmed_merge", &F::requester_confirmed_merge},
                           {"exact_match", &F::exact_match},
                           {"reporter_is_target", &F::reporter_is_target},
                           {"target_is_user", &F::target_is_user},
                           {"reporter_insists", &F::reporter_insists}};
constexpr Count kCounts[] = {{"incumbent_device_days", &F::incumbent_device_days, kCountMax},
                             {"challenger_device_days", &F::challenger_device_days, kCountMax},
                             {"old_owner_inactive_days", &F::old_owner_inactive_days, kCountMax},
                             {"challenger_level", &F::challenger_level, 3},
                             {"incumbent_level", &F::incumbent_level, 3},
                             {"employees", &F::employees, kCountMax},
                             {"unique_reports_24h", &F::unique_reports_24h, kCountMax}};
constexpr Number kNumbers[] = {{"similarity", &F::similarity, 0, 1},
                               {"signal_ratio", &F::signal_ratio, 0, kNumberMax},
                               {"trust_delta", &F::trust_delta, -kNumberMax, kNumberMax}};

std::string problem(std::string_view name, std::string_view what) {
  return "evidence." + std::string(name) + " " + std::string(what);
}

// Reads one field; empty when it is good. A key of an object that is no known field is passed over.
std::string read_field(std::string_view key, simdjson::ondemand::value& value, EvidenceFields& fields) {
  for (const Flag& flag : kFlags)
    if (flag.name == key) {
      bool read = false;
      if (value.get_bool().get(read) != simdjson::SUCCESS) return problem(key, "is neither true nor false");
      fields.*flag.field = read;
      return "";
    }
  for (const Count& count : kCounts)
    if (count.name == key) {
      std::int64_t read = 0;
      if (value.get_int64().get(read) != simdjson::SUCCESS || read < 0 || read > count.max)
        return problem(key, "is no whole number from 0 to " + std::to_string(count.max));
      fields.*count.field = read;
      return "";
    }
  for (const Number& number : kNumbers)
    if (number.name == key) {
      double read = 0;
      if (value.get_double().get(read) != simdjson::SUCCESS || !(read >= number.min && read <= number.max))
        return problem(key, "is no number in its range");
      fields.*number.field = read;
      return "";
    }
  if (key == kClaimedAt) {
    std::string_view text;
    if (value.get_string().get(text) != simdjson::SUCCESS) return problem(key, "is no time");
    fields.claimed_at = parse_timestamp(text);
    if (!fields.claimed_at) return problem(key, "is no RFC 3339 time in UTC");
  }
  return "";
}

template <class Value>
void replace(std::optional<Value>& known, const std::optional<Value>& newer) {
  if (newer) known = newer;
}

}  // namespace

void EvidenceFields::merge(const EvidenceFields& newer) {
  for (const Flag& flag : kFlags) replace(this->*flag.field, newer.*flag.field);
  for (const Count& count : kCounts) replace(this->*count.field, newer.*count.field);
  for (const Number& number : kNumbers) replace(this->*number.field, newer.*number.field);
  replace(claimed_at, newer.claimed_at);
}

std::variant<Evidence, std::string_view> EvidenceFields::complete(CaseType type) const {
  std::string_view missing;
  const auto flag = [&](std::optional<bool> EvidenceFields::*field) {
    for (const Flag& each : kFlags)
      if (each.field == field && !(this->*field) && missing.empty()) missing = each.name;
    return (this->*field).value_or(false);
  };
  const auto count = [&](std::optional<std::int64_t> EvidenceFields::*field) {
    for (const Count& each : kCounts)
      if (each.field == field && !(this->*field) && missing.empty()) missing = each.name;
    return (this->*field).value_or(0);
  };
  const auto number = [&](std::optional<double> EvidenceFields::*field) {
    for (const Number& each : kNumbers)
      if (each.field == field && !(this->*field) && missing.empty()) missing = each.name;
    return (this->*field).value_or(0);
  };
  Evidence evidence;
  switch (type) {
    case CaseType::c1:
      evidence = ChannelClaim{flag(&F::incumbent_otp), flag(&F::challenger_otp),
                              count(&F::incumbent_device_days), count(&F::challenger_device_days)};
      break;
    case CaseType::c2:
      if (!claimed_at) missing = kClaimedAt;
      evidence = RecycledNumber{flag(&F::otp), count(&F::old_owner_inactive_days),
                                claimed_at.value_or(Instant{}), flag(&F::old_owner_disputed)};
      break;
    case CaseType::c3:
      evidence = WrongMerge{flag(&F::auto_applied), flag(&F::requester_confirmed_merge)};
      break;
    case CaseType::c4:
      evidence = Impersonation{flag(&F::exact_match), flag(&F::reporter_is_target), flag(&F::target_is_user),
                               flag(&F::reporter_insists), number(&F::similarity)};
      break;
    case CaseType::c5:
      evidence =
          BusinessAuthority{count(&F::challenger_level), count(&F::incumbent_level), count(&F::employees)};
      break;
    case CaseType::c6:
      evidence =
          TrustDispute{number(&F::signal_ratio), count(&F::unique_reports_24h), number(&F::trust_delta)};
      break;
  }
  if (!missing.empty()) return missing;
  return evidence;
}

std::string EvidenceFields::json() const {
  JsonWriter out;
  out.begin();
  for (const Flag& flag : kFlags)
    if (this->*flag.field) out.field(flag.name, *(this->*flag.field));
  for (const Count& count : kCounts)
    if (this->*count.field) out.field(count.name, *(this->*count.field));
  for (const Number& number : kNumbers)
    if (this->*number.field) out.field(number.name, *(this->*number.field));
  if (claimed_at) out.field(kClaimedAt, *claimed_at);
  out.end();
  return out.text();
}

struct EvidenceReader::Parser {
  simdjson::ondemand::parser parser;
  std::string padded;
};

EvidenceReader::EvidenceReader() : parser_(std::make_unique<Parser>()) {}
EvidenceReader::~EvidenceReader() = default;

std::variant<EvidenceFields, std::string> EvidenceReader::read(std::string_view json) {
  parser_->padded.assign(json);
  parser_->padded.append(simdjson::SIMDJSON_PADDING, '\0');
  simdjson::ondemand::document document;
  simdjson::ondemand::object object;
  if (parser_->parser
              .iterate(
                  simdjson::padded_string_view(parser_->padded.data(), json.size(), parser_->padded.size()))
              .get(document) != simdjson::SUCCESS ||
      document.get_object().get(object) != simdjson::SUCCESS)
    return "evidence is no JSON object";
  EvidenceFields fields;
  for (auto entry : object) {
    simdjson::ondemand::field field;
    std::string_view key;
    if (std::move(entry).get(field) != simdjson::SUCCESS ||
        field.unescaped_key().get(key) != simdjson::SUCCESS)
      return "evidence is no JSON object";
    const std::string wrong = read_field(key, field.value(), fields);
    if (!wrong.empty()) return wrong;
  }
  return fields;
}

}  // namespace cutover::dispute
