#include "workers/dispute/domain/route.h"

namespace cutover::dispute {

Route route(Severity severity, const Evidence& evidence) noexcept {
  const CaseType type = type_of(evidence);
  const auto* impersonation = std::get_if<Impersonation>(&evidence);
  const auto* trust = std::get_if<TrustDispute>(&evidence);
  if ((type == CaseType::c1 || type == CaseType::c5) && severity >= Severity::l2)
    return {Lane::p0, "route.severe_claim"};
  if (impersonation && impersonation->target_is_user) return {Lane::p1, "route.user_impersonated"};
  if ((type == CaseType::c1 || type == CaseType::c2) && severity == Severity::l1)
    return {Lane::p2, "route.light_claim"};
  if (trust && trust->trust_delta > 30) return {Lane::p1, "route.trust_fell"};
  if (type == CaseType::c3) return {Lane::p3, "route.merge"};
  return {Lane::p2, "route.other"};
}

}  // namespace cutover::dispute
