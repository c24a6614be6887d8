#pragma once

#include <functional>

#include "workers/dispute/announcer.h"
#include "workers/dispute/case_book.h"
#include "workers/dispute/channel_claims.h"

namespace cutover::dispute {

// Does to the world what happens in the life of a case: rows, restrictions, transitions, timers, events,
// audit.
class Consequences {
 public:
  Consequences(CaseBook& book, ChannelClaims& channels, Announcer& announcer)
      : book_(book), channels_(channels), announcer_(announcer) {}

  // Lets the case live and carries out what happens to it.
  void live(CaseRecord& record, const std::function<void(CaseLife&)>& how);
  // Gives the case a reason to be more urgent; its lane follows. Returns false when it had it.
  bool add_reason(CaseRecord& record, Reason reason, Instant at);
  // Tells that a case got reasons, and a new lane if it did.
  void escalated(CaseRecord& record, Lane before);
  // Sets the timers of what runs, so that they name the version that the case is at.
  void rearm(const CaseRecord& record);
  // The first response: no limit runs any more.
  void respond(CaseRecord& record);

 private:
  void carry_out(CaseRecord& record, const Decided& decided, bool news);
  void carry_out(CaseRecord& record, const HoldStarted& hold);
  void carry_out(CaseRecord& record, const HoldExtended& hold);
  void carry_out(CaseRecord& record, const HoldEnded& hold);
  void carry_out(CaseRecord& record, const Resolved& resolved);
  void carry_out(CaseRecord& record, const Appealed& appealed);
  void restrict_to(const CaseRecord& record, std::string_view kind, Instant at);
  void lift(const CaseRecord& record, Instant at, std::string_view only = {});

  CaseBook& book_;
  ChannelClaims& channels_;
  Announcer& announcer_;
};

}  // namespace cutover::dispute
