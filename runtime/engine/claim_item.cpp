#include "runtime/engine/claim_item.h"

#include "runtime/event/field_rules.h"
#include "runtime/event/json_text.h"

namespace cutover {
namespace {

// Bytes of a header as an id: none when no text column could hold them.
std::string_view text_or_nothing(std::string_view bytes) {
  return has_control_character(bytes) || find_bad_utf8(bytes) ? std::string_view() : bytes;
}

}  // namespace

ClaimQuestion claim_question(const Message& message, const std::variant<Event, Malformed>& parsed, std::uint64_t sequence,
                             std::string_view worker, bool listed) {
  ClaimQuestion question;
  ClaimItem& item = question.item;
  item.sequence = sequence;
  const std::string_view addressee = message.header("Cutover-For");
  const bool for_another = !addressee.empty() && addressee != worker;
  if (const Event* event = std::get_if<Event>(&parsed)) {
    item.event_id = event->event_id;
    item.key = event->key;
    // What is not listed has its place in the order, too; a copy for another worker has one there only.
    if (!for_another) item.version = event->subject.version;
    question.addressed = !for_another && listed;
    if (question.addressed) {
      item.tenant_scope = event->tenant_scope;
      item.idempotency_key = event->idempotency_key;
    }
  } else {
    const Malformed& bad = std::get<Malformed>(parsed);
    // Without a readable id the message id tells one event from another.
    item.event_id = bad.event_id.empty() ? text_or_nothing(message.header("Nats-Msg-Id")) : bad.event_id;
    item.key = bad.key;
    question.addressed = !for_another;
  }
  return question;
}

}  // namespace cutover
