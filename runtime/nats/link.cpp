#include "runtime/nats/link.h"

namespace cutover {

Connection::Link::~Link() {
  natsConnection_Close(handle);  // joins the reading thread
  for (natsSubscription* subscription : subscriptions_) natsSubscription_Destroy(subscription);
  natsConnection_Destroy(handle);
}

natsSubscription* Connection::Link::subscribe(const std::string& subject) {
  natsSubscription* subscription = nullptr;
  natsStatus status = natsConnection_SubscribeSync(&subscription, handle, subject.c_str());
  if (status != NATS_OK)
    throw BrokerError("cannot subscribe to " + subject + ": " + describe(status) +
                      "; the connection is probably closing, try again");
  natsSubscription_SetPendingLimits(subscription, -1, -1);
  std::lock_guard lock(mutex_);
  subscriptions_.push_back(subscription);
  return subscription;
}

void Connection::Link::retire(natsSubscription* subscription) {
  natsSubscription_Unsubscribe(subscription);
}

std::string new_inbox() {
  natsInbox* inbox = nullptr;
  natsStatus status = natsInbox_Create(&inbox);
  if (status != NATS_OK) throw BrokerError("cannot make an inbox: " + describe(status) + "; out of memory?");
  std::string name = inbox;
  natsInbox_Destroy(inbox);
  return name;
}

std::string describe(natsStatus status) {
  std::string text = natsStatus_GetText(status);
  natsStatus last = NATS_OK;
  const char* detail = nats_GetLastError(&last);
  if (detail && *detail && last == status) text += " (" + std::string(detail) + ")";
  return text;
}

}  // namespace cutover
