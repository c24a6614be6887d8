#include "property/broker.h"

#include <algorithm>

namespace cutover::test {

std::string text_of(const Packet& packet) {
  return packet.event_id + "|" + packet.key + "|" + packet.aggregate + "|" + std::to_string(packet.version) + "|" + packet.body;
}

std::int64_t SimulatedStream::publish(PacketPtr packet) {
  auto known = window.find(packet->message_id);
  if (known != window.end()) return known->second;
  window[packet->message_id] = ++last;
  messages[last] = std::move(packet);
  return last;
}

int SimulatedBroker::lane_of(const std::string& stream, const Packet& packet) const {
  return stream == "REPLAY" ? 0 : (packet.aggregate.back() - '0') % lanes_;
}

bool SimulatedBroker::sees(const Lane& lane, const Packet& packet) const {
  const auto& [stream, side, number] = lane;
  return lane_of(stream, packet) == number && (stream != "REPLAY" || packet.side == side);
}

std::vector<std::int64_t> SimulatedBroker::deliverable(const Lane& lane) {
  std::vector<std::int64_t> found;
  for (const auto& [sequence, packet] : stream(std::get<0>(lane)).messages)
    if (sees(lane, *packet) && !acked_[lane].contains(sequence) && !pending_[lane].contains(sequence)) found.push_back(sequence);
  return found;
}

std::int64_t SimulatedBroker::first_open(const std::string& side) {
  for (const auto& [sequence, packet] : stream("CORE").messages)
    if (!acked_[{"CORE", side, lane_of("CORE", *packet)}].contains(sequence)) return sequence;
  return 0;
}

void SimulatedBroker::forget(std::int64_t sequence) {
  stream("CORE").messages.erase(sequence);
  // A consumer ahead of its stream starts again at its end.
  for (auto& [lane, set] : acked_)
    if (std::get<0>(lane) == "CORE") set.erase(sequence);
  for (auto& [lane, map] : pending_)
    if (std::get<0>(lane) == "CORE") map.erase(sequence);
}

void SimulatedBroker::lose_tail(std::int64_t count) {
  SimulatedStream& core = stream("CORE");
  for (std::int64_t sequence = core.last - count + 1; sequence <= core.last; ++sequence) forget(sequence);
  core.last -= count;
  core.window.clear();
  for (const auto& [sequence, packet] : core.messages) core.window[packet->message_id] = sequence;
}

void SimulatedBroker::recreate() {
  SimulatedStream& core = stream("CORE");
  while (!core.messages.empty()) forget(core.messages.begin()->first);
  const int next = core.incarnation + 1;
  core = SimulatedStream{};
  core.incarnation = next;
}

}  // namespace cutover::test
