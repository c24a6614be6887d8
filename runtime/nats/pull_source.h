#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/contract/worker.h"
#include "runtime/engine/ports.h"
#include "runtime/nats/connection.h"

namespace cutover {

struct PullOptions {
  std::size_t prefetch_batches = 3;      // messages pulled and not released, in batches of the lane
  std::size_t prefetch_bytes = 8 << 20;  // of all lanes together, divided evenly
  std::chrono::milliseconds expires{
      10'000};  // how long one pull stays open; at most half of a lane's ack_wait
  std::chrono::milliseconds heartbeat{2'000};
  std::chrono::milliseconds probe_interval{5'000};  // between questions for the consumer's state
  // When the ledger's life of each stream was created. Streams that are not named are believed as they are
  // found.
  std::map<std::string, Instant> stream_created;
  // Hears what was repaired or went wrong, one sentence each, with locks held: return quickly.
  std::function<void(std::size_t lane, const std::string&)> notice;
};

// The durable consumers `<worker>-<lane>` of one worker, pulled over one connection and one inbox. Creates
// and adapts them, keeps several pulls open, and begins anew by itself after reconnects, lost heartbeats and
// deleted consumers.
//
// Uses the subjects $JS.API.STREAM.INFO.<stream>, $JS.API.STREAM.MSG.GET.<stream>,
// $JS.API.CONSUMER.{INFO,DURABLE.CREATE,DELETE,MSG.NEXT}.<stream>.<durable>, $JS.ACK.<stream>.<durable>.> and
// _INBOX.>.
class PullSource final : public MessageSource {
 public:
  // Returns at once; nothing is sent before the first `receive` or `prepare`. The connection outlives the
  // source.
  PullSource(Connection& connection, const std::string& worker, std::vector<LaneSpec> lanes,
             PullOptions options = {});
  // Hands back what was delivered and not received, with an immediate negative ack; takes at most a second.
  ~PullSource() override;

  // Waits until every lane pulls. On the thread of `receive`, before it.
  // Throws BrokerError with the state of the first lane that does not, at the deadline or on stop.
  void prepare(Deadline deadline, std::stop_token stop = {});

  void receive(std::vector<Message>& out, std::size_t max, Deadline deadline, std::stop_token stop) override;
  void release(std::size_t lane, std::size_t count) override;
  void pause(std::size_t lane, bool paused) override;
  void ack(std::string_view reply) override;
  void nak(std::string_view reply, std::chrono::milliseconds delay) override;
  void in_progress(std::string_view reply) override;
  bool flush(Deadline deadline) override;
  LaneState state(std::size_t lane) const override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cutover
