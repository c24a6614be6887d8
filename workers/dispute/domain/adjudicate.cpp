#include "workers/dispute/domain/adjudicate.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace cutover::dispute {
namespace {

using std::chrono::days;
using std::chrono::hours;

constexpr std::int64_t kTrustedDeviceDays = 30;
constexpr std::int64_t kInactiveDays = 90;
constexpr days kCooling{7};
constexpr double kFuzzySimilarity = 0.80;
constexpr std::int64_t kLargeOrganisation = 50;

constexpr std::array<std::string_view, 25> kRules = {
    "C1.one_otp",   "C1.device",      "C1.ambiguous",    "C1.no_otp",      "C2.no_otp",
    "C2.inactive",  "C2.disputed",    "C2.cooled",       "C2.cooling",     "C3.auto",
    "C3.confirmer", "C3.third_party", "C4.exact_target", "C4.exact_other", "C4.fuzzy",
    "C4.insists",   "C4.dismissed",   "C5.large",        "C5.small",       "C6.ratio3",
    "C6.ratio1_5",  "C6.reports5",    "C6.reports2",     "C6.report1",     "C6.none"};

constexpr std::string_view kOutcomes[] = {"resolve", "queue", "wait", "reject", "dismiss"};
constexpr std::string_view kActions[] = {"award_challenger",
                                         "award_incumbent",
                                         "favour_challenger",
                                         "favour_incumbent",
                                         "freeze_organisation",
                                         "log",
                                         "recommend_challenger",
                                         "recommend_dismissal",
                                         "recommend_legal_documents",
                                         "reduce_discoverability",
                                         "restrict",
                                         "split",
                                         "transfer",
                                         "undo",
                                         "warn"};

Decision decide(const ChannelClaim& e, Severity, Instant) {
  if (e.incumbent_otp != e.challenger_otp)
    return {.rule = "C1.one_otp",
            .outcome = Outcome::resolve,
            .confidence_percent = 99,
            .hold = hours(24),
            .actions = {e.challenger_otp ? Action::award_challenger : Action::award_incumbent}};
  if (!e.incumbent_otp)
    return {.rule = "C1.no_otp", .outcome = Outcome::queue, .confidence_percent = 50, .lane = Lane::p0};
  const bool incumbent_device = e.incumbent_device_days >= kTrustedDeviceDays;
  const bool challenger_device = e.challenger_device_days >= kTrustedDeviceDays;
  if (incumbent_device != challenger_device)
    return {.rule = "C1.device",
            .outcome = Outcome::queue,
            .confidence_percent = 85,
            .actions = {challenger_device ? Action::favour_challenger : Action::favour_incumbent}};
  return {.rule = "C1.ambiguous",
          .outcome = Outcome::queue,
          .confidence_percent = 50,
          .lane = Lane::p1,
          .hold = hours(72)};
}

Decision decide(const RecycledNumber& e, Severity, Instant as_of) {
  if (!e.otp) return {.rule = "C2.no_otp", .outcome = Outcome::reject, .confidence_percent = 100};
  if (e.old_owner_inactive_days > kInactiveDays)
    return {.rule = "C2.inactive",
            .outcome = Outcome::resolve,
            .confidence_percent = 99,
            .actions = {Action::transfer}};
  if (e.old_owner_disputed)
    return {.rule = "C2.disputed", .outcome = Outcome::queue, .confidence_percent = 50, .lane = Lane::p2};
  if (e.claimed_at + kCooling <= as_of)
    return {.rule = "C2.cooled",
            .outcome = Outcome::resolve,
            .confidence_percent = 98,
            .hold = hours(48),
            .actions = {Action::transfer}};
  return {.rule = "C2.cooling",
          .outcome = Outcome::wait,
          .confidence_percent = 50,
          .decide_at = e.claimed_at + kCooling};
}

Decision decide(const WrongMerge& e, Severity, Instant) {
  if (e.auto_applied)
    return {.rule = "C3.auto",
            .outcome = Outcome::resolve,
            .confidence_percent = 100,
            .hold = hours(24),
            .actions = {Action::undo}};
  if (e.requester_confirmed_merge)
    return {.rule = "C3.confirmer",
            .outcome = Outcome::resolve,
            .confidence_percent = 95,
            .actions = {Action::split}};
  return {.rule = "C3.third_party", .outcome = Outcome::queue, .confidence_percent = 50, .lane = Lane::p3};
}

Decision decide(const Impersonation& e, Severity, Instant) {
  if (e.exact_match && e.reporter_is_target)
    return {.rule = "C4.exact_target",
            .outcome = Outcome::queue,
            .confidence_percent = 90,
            .lane = Lane::p1,
            .actions = {Action::reduce_discoverability}};
  if (e.exact_match)
    return {.rule = "C4.exact_other",
            .outcome = Outcome::queue,
            .confidence_percent = 80,
            .lane = Lane::p2,
            .actions = {Action::reduce_discoverability}};
  if (e.similarity > kFuzzySimilarity)
    return {.rule = "C4.fuzzy",
            .outcome = Outcome::queue,
            .confidence_percent = 75,
            .lane = Lane::p2,
            .hold = hours(48)};
  if (e.reporter_insists)
    return {.rule = "C4.insists", .outcome = Outcome::queue, .confidence_percent = 70, .lane = Lane::p3};
  return {.rule = "C4.dismissed", .outcome = Outcome::dismiss, .confidence_percent = 70};
}

Decision decide(const BusinessAuthority& e, Severity severity, Instant) {
  Action recommendation = Action::recommend_legal_documents;
  if (e.challenger_level == 0)
    recommendation = Action::recommend_dismissal;
  else if (e.challenger_level > e.incumbent_level)
    recommendation = Action::recommend_challenger;
  const bool large = e.employees >= kLargeOrganisation || severity >= Severity::l2;
  return {.rule = large ? "C5.large" : "C5.small",
          .outcome = Outcome::queue,
          .confidence_percent = 50,
          .lane = large ? Lane::p0 : Lane::p1,
          .hold = hours(72),
          .actions = {Action::freeze_organisation, recommendation}};
}

Decision decide(const TrustDispute& e, Severity, Instant) {
  if (e.signal_ratio >= 3)
    return {.rule = "C6.ratio3",
            .outcome = Outcome::queue,
            .confidence_percent = 80,
            .lane = Lane::p2,
            .actions = {Action::restrict_principal}};
  if (e.signal_ratio >= 1.5)
    return {.rule = "C6.ratio1_5",
            .outcome = Outcome::resolve,
            .confidence_percent = 95,
            .actions = {Action::warn}};
  if (e.unique_reports_24h >= 5)
    return {.rule = "C6.reports5",
            .outcome = Outcome::queue,
            .confidence_percent = 80,
            .lane = Lane::p1,
            .actions = {Action::restrict_principal}};
  if (e.unique_reports_24h >= 2)
    return {.rule = "C6.reports2",
            .outcome = Outcome::queue,
            .confidence_percent = 60,
            .lane = Lane::p3,
            .actions = {Action::warn}};
  if (e.unique_reports_24h == 1)
    return {.rule = "C6.report1",
            .outcome = Outcome::resolve,
            .confidence_percent = 95,
            .actions = {Action::log}};
  return {.rule = "C6.none", .outcome = Outcome::dismiss, .confidence_percent = 95};
}

}  // namespace

Decision adjudicate(Severity severity, const Evidence& evidence, Instant as_of) {
  return std::visit([&](const auto& e) { return decide(e, severity, as_of); }, evidence);
}

std::span<const std::string_view> rule_ids() noexcept {
  return kRules;
}

bool ends_case(Outcome outcome) noexcept {
  return outcome != Outcome::queue && outcome != Outcome::wait;
}

std::string_view name_of(Outcome outcome) noexcept {
  return kOutcomes[static_cast<int>(outcome)];
}
std::string_view name_of(Action action) noexcept {
  return kActions[static_cast<int>(action)];
}

std::optional<Outcome> outcome_named(std::string_view name) noexcept {
  const auto* found = std::find(std::begin(kOutcomes), std::end(kOutcomes), name);
  if (found == std::end(kOutcomes)) return std::nullopt;
  return static_cast<Outcome>(found - kOutcomes);
}

std::optional<Action> action_named(std::string_view name) noexcept {
  const auto* found = std::find(std::begin(kActions), std::end(kActions), name);
  if (found == std::end(kActions)) return std::nullopt;
  return static_cast<Action>(found - kActions);
}

}  // namespace cutover::dispute
