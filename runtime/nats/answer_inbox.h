#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "runtime/nats/link.h"

namespace cutover {

// A subject for many answers at once: questions go out with reply `subject(n)`, answers are read back with
// their n. One thread.
class AnswerInbox {
 public:
  explicit AnswerInbox(Connection& connection) : connection_(connection) {}
  ~AnswerInbox();
  AnswerInbox(const AnswerInbox&) = delete;
  AnswerInbox& operator=(const AnswerInbox&) = delete;

  // Begins a round: answers of earlier rounds will be ignored. Returns false without a connection.
  bool begin();
  // After a round that ended with questions open: late answers must not reach the next one.
  void reset();
  // The connection is still the one that the round began on.
  bool intact() const;
  natsConnection* handle() const { return link_->handle; }
  // Where the answer to question n is to go; valid until the next call.
  const std::string& subject(std::size_t n);
  struct Answer {
    std::size_t n = 0;
    NatsMessage message = nullptr;  // null: none within the time
    bool delivered = false;         // a stream's message, by a pull whose answers come here; n says nothing
    bool nobody = false;            // one question found nobody; the library does not say which
  };
  // Messages of a stream, delivered by pulls of an earlier round, are dropped unless `deliveries` are wanted.
  Answer next(std::chrono::milliseconds wait, bool deliveries = false);

 private:
  Connection& connection_;
  std::shared_ptr<Connection::Link> link_;
  natsSubscription* subscription_ = nullptr;
  std::uint64_t epoch_ = 0;
  std::uint64_t round_ = 0;
  std::string prefix_;  // "_INBOX.x."
  std::string subject_;
};

}  // namespace cutover
