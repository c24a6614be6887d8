#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace cutover::test {

// An event as it travels: what the outbox holds, and what a stream stores.
struct Packet {
  std::string event_id, key, aggregate;  // key: the idempotency key
  std::int64_t version = 0;
  std::string body;        // "orig", or "edit" for an edited dead letter
  std::string message_id;  // Nats-Msg-Id
  std::string subject;     // in.*, out.*, shadow.*, dlq.*, replay.*
  bool copy = false;       // published again, and no header is missing: it names its origin
  bool addressed = false;  // header Cutover-For names our worker
  // Of a replay: the letter's place, its plan, and the side that shall see it.
  std::int64_t plan = 0, origin_sequence = 0;
  int origin_incarnation = 0;
  std::string side;
  std::string published_at;  // PostgreSQL's clock
};
using PacketPtr = std::shared_ptr<const Packet>;
// What stands in a payload: the event, and nothing of its journey.
std::string text_of(const Packet& packet);

// One stream in its present life.
struct SimulatedStream {
  int incarnation = 1;
  std::int64_t last = 0, synced = 0;  // what a power failure cannot take any more
  std::map<std::int64_t, PacketPtr> messages;
  std::map<std::string, std::int64_t> window;  // of duplicates, by message id

  // Returns the sequence of the publish ack.
  std::int64_t publish(PacketPtr packet);
};

// A consumer: lane of a side on a stream.
using Lane = std::tuple<std::string, std::string, int>;

// Streams and consumers as plain data; every fault is a call.
class SimulatedBroker {
 public:
  explicit SimulatedBroker(int lanes) : lanes_(lanes) {}

  SimulatedStream& stream(const std::string& name) { return streams_[name]; }
  int lane_of(const std::string& stream, const Packet& packet) const;
  int lanes(const std::string& stream) const { return stream == "REPLAY" ? 1 : lanes_; }
  // Sequences that the lane would deliver now.
  std::vector<std::int64_t> deliverable(const Lane& lane);
  // Whether the lane's consumer sees this message at all.
  bool sees(const Lane& lane, const Packet& packet) const;
  std::set<std::int64_t>& acked(const Lane& lane) { return acked_[lane]; }
  std::map<std::int64_t, std::string>& pending(const Lane& lane) { return pending_[lane]; }
  std::map<Lane, std::map<std::int64_t, std::string>>& all_pending() { return pending_; }
  // The first sequence of CORE that a side has not acknowledged, in any lane; 0 for none.
  std::int64_t first_open(const std::string& side);
  void lose_tail(std::int64_t count);
  void recreate();

 private:
  void forget(std::int64_t sequence);

  int lanes_;
  std::map<std::string, SimulatedStream> streams_;
  std::map<Lane, std::set<std::int64_t>> acked_;
  std::map<Lane, std::map<std::int64_t, std::string>> pending_;  // sequence -> instance
};

}  // namespace cutover::test
