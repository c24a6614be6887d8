#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "workers/dispute/domain/case.h"
#include "workers/dispute/json.h"

namespace cutover::dispute {

// The evidence that one event brings: any of the fields, whatever the type of the case.
struct EvidenceFields {
  std::optional<bool> incumbent_otp, challenger_otp, otp, old_owner_disputed, auto_applied,
      requester_confirmed_merge, exact_match, reporter_is_target, target_is_user, reporter_insists;
  std::optional<std::int64_t> incumbent_device_days, challenger_device_days, old_owner_inactive_days,
      challenger_level, incumbent_level, employees, unique_reports_24h;
  std::optional<double> similarity, signal_ratio, trust_delta;
  std::optional<Instant> claimed_at;

  // What the newer fields bring replaces what was known.
  void merge(const EvidenceFields& newer);
  // The evidence of a case of this type, or the name of the first field that is missing.
  std::variant<Evidence, std::string_view> complete(CaseType type) const;
  // The fields that are there, as one JSON object.
  std::string json() const;
};

// Reads the fields that it knows from a JSON object; others are ignored.
class EvidenceReader {
 public:
  EvidenceReader();
  ~EvidenceReader();
  // json     an object
  // returns  the fields, or what is wrong with one
  std::variant<EvidenceFields, std::string> read(std::string_view json);

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace cutover::dispute
