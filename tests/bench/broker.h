#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <nats/nats.h>

namespace cutover::bench {

struct DestroyMessage {
  void operator()(natsMsg* message) const { natsMsg_Destroy(message); }
};
using MessagePtr = std::unique_ptr<natsMsg, DestroyMessage>;

// One durable pull consumer of one stream.
struct ConsumerName {
  std::string stream = "CORE";
  std::string durable = "bench-main";
};

struct Backlog {
  std::uint64_t pending = 0;      // not yet delivered
  std::uint64_t ack_pending = 0;  // delivered, not yet acknowledged
};

// A connection of the benchmark's own programs. Every function throws std::runtime_error that names the step.
class Broker {
 public:
  // send_asap  writes each message at once instead of up to 1 ms later: for a steady rate, not for full speed
  explicit Broker(const std::string& url, bool send_asap = false);
  ~Broker();
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  // Leaves the stream without messages and without consumers.
  void empty_stream(const std::string& stream);
  void create_consumer(const ConsumerName& name, const std::string& filter_subject);
  // Nullopt while there is no such consumer.
  std::optional<Backlog> backlog(const ConsumerName& name);

  // Publishes without waiting, as a producer's outbox does: Nats-Msg-Id is the event id, Cutover-Key the
  // subject id.
  void publish(const std::string& subject, const std::string& event_id, const std::string& key,
               const std::string& data);
  // Waits until the broker has stored everything that was published.
  void finish_publishing(std::chrono::milliseconds limit);
  void flush();

  natsConnection* connection() { return connection_; }

 private:
  natsConnection* connection_ = nullptr;
  jsCtx* jetstream_ = nullptr;
};

// Overlapping pull requests on a plain inbox subscription: while one is being answered, the next is already
// there. `next` from one thread; `settled` from any.
class OverlappedPulls {
 public:
  // batch   messages that one request asks for
  // depth   requests under way: at most depth * batch messages are out and not settled
  OverlappedPulls(Broker& broker, const ConsumerName& name, std::size_t batch, std::size_t depth);
  ~OverlappedPulls();
  OverlappedPulls(const OverlappedPulls&) = delete;
  OverlappedPulls& operator=(const OverlappedPulls&) = delete;

  // Null after `wait` without a message. Throws when the broker answers with an error status.
  MessagePtr next(std::chrono::milliseconds wait);
  // Acknowledges the message and asks for the next batch when a whole one was settled.
  void settled(const MessagePtr& message);

 private:
  void pull();

  Broker& broker_;
  const std::size_t batch_;
  const std::string request_subject_;
  const std::string request_;
  natsInbox* inbox_ = nullptr;
  natsSubscription* subscription_ = nullptr;
  std::atomic<std::size_t> settled_{0};
};

}  // namespace cutover::bench
