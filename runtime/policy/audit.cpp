#include "runtime/policy/audit.h"

namespace cutover {
namespace {

constexpr std::string_view kNames[kAuditClasses] = {
    "applied",    "duplicate", "not_addressed", "dead_letter",     "seized",
    "other_side", "deleted",   "in_flight",     "below_retention", "stranded"};

// Between the two positions a message may be acknowledged or not; the broker does not say which.
Unsettled judge_by(std::uint64_t sequence, const ConsumerPosition& reader) noexcept {
  return sequence <= reader.acked ? Unsettled::stranded : Unsettled::in_flight;
}

}  // namespace

std::string_view to_text(AuditClass audit_class) noexcept {
  return kNames[static_cast<std::size_t>(audit_class)];
}

LedgerView operator&(const LedgerView& view, const SequenceSet& sequences) {
  LedgerView part = view;
  for (SequenceSet LedgerView::*set :
       {&LedgerView::applied, &LedgerView::duplicate, &LedgerView::not_addressed, &LedgerView::dead_letter,
        &LedgerView::seized, &LedgerView::other_side, &LedgerView::unresolved})
    part.*set = part.*set & sequences;
  return part;
}

SequenceSet count_settled(const LedgerView& view, AuditCounts& counts) {
  SequenceSet counted;
  const auto count = [&](AuditClass audit_class, const SequenceSet& set) {
    const SequenceSet fresh = set - counted;
    counts[audit_class] += fresh.count();
    counted = counted | fresh;
  };
  count(AuditClass::dead_letter, view.dead_letter & view.unresolved);
  count(AuditClass::applied, view.applied);
  count(AuditClass::seized, view.seized);
  count(AuditClass::duplicate, view.duplicate);
  count(AuditClass::not_addressed, view.not_addressed);
  count(AuditClass::dead_letter, view.dead_letter);
  count(AuditClass::other_side, view.other_side);
  return counted;
}

Unsettled judge(std::uint64_t sequence, std::optional<std::string_view> key, const Ownership& ownership,
                const Readers& readers) noexcept {
  const Unsettled by_worker = judge_by(sequence, readers.worker);
  const Unsettled by_monolith = readers.monolith ? judge_by(sequence, *readers.monolith) : Unsettled::unknown;
  if (by_worker == by_monolith) return by_worker;
  const Owner who = ownership.of(sequence, key.value_or(""));
  if (who.mode == Mode::canary && !key) return Unsettled::key_needed;
  return who.serving == Side::worker ? by_worker : by_monolith;
}

}  // namespace cutover
