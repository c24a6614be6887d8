#pragma once

#include <memory>

#include "runtime/engine/ports.h"
#include "runtime/nats/connection.h"

namespace cutover {

// Publishes into JetStream. At most a few thousand messages are unanswered at a time: later servers drop what
// exceeds their own queue.
//
// Uses the subjects that are published to, $JS.API.STREAM.{INFO,MSG.GET}.<stream> and _INBOX.>; for long runs
// of message ids, where it may, $JS.API.CONSUMER.CREATE.<stream> and
// $JS.API.CONSUMER.{MSG.NEXT,DELETE}.<stream>.*.
class NatsPublisher final : public Publisher {
 public:
  // The connection outlives the publisher.
  explicit NatsPublisher(Connection& connection);
  ~NatsPublisher() override;

  // Without a connection: waits for it until the deadline. When it is lost on the way, the unanswered
  // messages may or may not be stored; their answer says so, and publishing them again with their message ids
  // is safe.
  std::vector<PublishAck> publish(std::span<const Publication> messages, Deadline deadline) override;
  std::vector<std::optional<std::string>> message_ids(const std::string& stream,
                                                      std::span<const std::uint64_t> sequences,
                                                      Deadline deadline) override;
  std::optional<StreamLife> stream_life(const std::string& stream, Deadline deadline) override;
  std::uint64_t connection_epoch() const override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cutover
