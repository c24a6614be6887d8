#include "runtime/nats/pull_source.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <deque>
#include <mutex>

#include "runtime/nats/lane_pull.h"
#include "runtime/nats/link.h"
#include "runtime/nats/wire_message.h"

namespace cutover {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kTick{20};  // stop is noticed, and timers run, at least this often
constexpr milliseconds kHandBack{1'000};
constexpr std::size_t kSpentMessagesMax = 256;
constexpr std::size_t kSpentBytesMax = 1 << 20;

struct Token {
  bool question = false;  // of the API; otherwise a pull
  std::size_t lane = 0;
  std::uint64_t number = 0;
};

// Reads "q<lane>-<number>" or "<lane>-<number>".
std::optional<Token> parse_token(std::string_view text) {
  Token token;
  if (text.starts_with('q')) {
    token.question = true;
    text.remove_prefix(1);
  }
  const char* end = text.data() + text.size();
  auto lane = std::from_chars(text.data(), end, token.lane);
  if (lane.ec != std::errc{} || lane.ptr == end || *lane.ptr != '-') return std::nullopt;
  auto number = std::from_chars(lane.ptr + 1, end, token.number);
  if (number.ec != std::errc{} || number.ptr != end) return std::nullopt;
  return token;
}

}  // namespace

struct PullSource::Impl {
  explicit Impl(Connection& c) : connection(c) {}

  Connection& connection;

  // Of the receiving thread.
  std::shared_ptr<Connection::Link> link;
  natsSubscription* subscription = nullptr;
  std::uint64_t epoch = 0;
  std::vector<Message> backlog;  // read but not handed out, from `backlog_at` on
  std::size_t backlog_at = 0;
  Deadline read_until{};  // everything that arrived before this was read
  Deadline next_tick{};
  std::size_t last_lane = 0;
  // Copied and not destroyed yet: each natsMsg_Destroy may wake the client's collector thread, a burst wakes
  // it once.
  std::vector<NatsMessage> spent;
  std::size_t spent_bytes = 0;

  mutable std::mutex mutex;
  std::string inbox;  // "_INBOX.x.", a new one after each reconnect so that old pulls find nobody
  std::deque<LanePull> lanes;

  void send(const std::string& subject, const std::string& reply, std::string_view body);
  void publish(std::string_view subject, std::string_view body);
  natsMsg* next(milliseconds wait, std::stop_token stop = {});
  void renew(Deadline now);
  void tick(Deadline now);
  void handle(natsMsg* message, std::vector<Message>& out);
  void handle_control(natsMsg* message, std::string_view token, Deadline now);
  std::size_t lane_of(const AckReply& reply);
  void destroy_spent(bool but_last = false);
  void hand_back();
};

// The last one may be in use still.
void PullSource::Impl::destroy_spent(bool but_last) {
  NatsMessage last;
  if (but_last) last = std::move(spent.back());
  spent.clear();
  spent_bytes = 0;
  if (last) spent.push_back(std::move(last));
}

// With `mutex` held: the inbox is read.
void PullSource::Impl::send(const std::string& subject, const std::string& reply, std::string_view body) {
  auto current = connection.link();
  if (!current || !connection.connected()) return;  // a timeout follows
  natsConnection_PublishRequest(current->handle, subject.c_str(), (inbox + reply).c_str(), body.data(),
                                static_cast<int>(body.size()));
}

void PullSource::Impl::publish(std::string_view subject, std::string_view body) {
  std::array<char, 512> text;
  auto current = connection.link();
  if (!current || subject.empty() || subject.size() >= text.size()) return;
  std::memcpy(text.data(), subject.data(), subject.size());
  text[subject.size()] = '\0';
  natsConnection_Publish(current->handle, text.data(), body.data(), static_cast<int>(body.size()));
}

// Null when nothing arrived within the time, or there is no connection.
natsMsg* PullSource::Impl::next(milliseconds wait, std::stop_token stop) {
  Deadline until = steady_clock::now() + wait;
  while (subscription) {
    natsMsg* message = nullptr;
    natsStatus status = natsSubscription_NextMsg(&message, subscription, wait.count());
    if (status == NATS_OK) return message;
    if (status == NATS_TIMEOUT) return nullptr;
    if (status == NATS_NO_RESPONDERS) {
      std::lock_guard lock(mutex);
      for (LanePull& lane : lanes) lane.on_nobody(steady_clock::now());
      continue;
    }
    subscription = nullptr;  // closed, with its connection
    next_tick = {};
  }
  connection.wait_connected(until, stop);
  return nullptr;
}

// A new inbox: what old pulls still deliver was read or is dropped, so no pull is counted twice.
void PullSource::Impl::renew(Deadline now) {
  while (natsMsg* message = next(milliseconds(0))) handle(message, backlog);
  if (subscription) link->retire(subscription);
  subscription = nullptr;
  std::uint64_t seen = connection.epoch();
  std::string prefix = new_inbox() + ".";
  link = connection.link();
  try {
    subscription = link->subscribe(prefix + "*");
  } catch (const BrokerError&) {
    return;  // closing; comes back with another epoch
  }
  epoch = seen;
  std::lock_guard lock(mutex);
  inbox = std::move(prefix);
  for (LanePull& lane : lanes) lane.restart(now);
}

void PullSource::Impl::tick(Deadline now) {
  next_tick = now + kTick;
  if (!connection.connected()) return;
  if (connection.epoch() != epoch || !subscription) renew(now);
  std::lock_guard lock(mutex);
  for (LanePull& lane : lanes) lane.tick(now, read_until);
  auto silent = [](const LanePull& lane) { return lane.silent(); };
  if (std::none_of(lanes.begin(), lanes.end(), silent)) return;
  // Nothing at all is heard: the server stands still, and may yet serve the old pulls. One silent lane has
  // lost its consumer, and the pulls with it.
  if (std::all_of(lanes.begin(), lanes.end(), [](const LanePull& l) { return l.silent() || !l.pulling(); }))
    epoch = 0;  // renewed by the next tick
  else
    for (LanePull& lane : lanes)
      if (lane.silent()) lane.check_again(now);
}

std::size_t PullSource::Impl::lane_of(const AckReply& reply) {
  if (lanes[last_lane].matches(reply)) return last_lane;
  for (std::size_t i = 0; i < lanes.size(); ++i)
    if (lanes[i].matches(reply)) return last_lane = i;
  return lanes.size();
}

void PullSource::Impl::handle(natsMsg* raw, std::vector<Message>& out) {
  spent.emplace_back(raw);
  spent_bytes += static_cast<std::size_t>(natsMsg_GetDataLength(raw));
  if (spent.size() > kSpentMessagesMax || spent_bytes > kSpentBytesMax) destroy_spent(true);
  Deadline now = steady_clock::now();
  std::string_view subject = natsMsg_GetSubject(raw);
  if (subject.starts_with(inbox)) return handle_control(raw, subject.substr(inbox.size()), now);
  const char* reply_text = natsMsg_GetReply(raw);
  std::optional<AckReply> reply = parse_ack_reply(reply_text ? reply_text : "");
  if (!reply) return;
  std::size_t lane = lane_of(*reply);
  if (lane == lanes.size()) return;
  Message copy = copy_message(raw);
  copy.lane = lane;
  copy.stream_sequence = reply->stream_sequence;
  copy.deliveries = reply->deliveries;
  copy.published_at = reply->published_at;
  copy.received_at = now;
  std::lock_guard lock(mutex);
  lanes[lane].on_message(std::move(copy), *reply, out, now);
}

void PullSource::Impl::handle_control(natsMsg* message, std::string_view text, Deadline now) {
  std::optional<Token> token = parse_token(text);
  if (!token || token->lane >= lanes.size()) return;
  std::string_view data(natsMsg_GetData(message), static_cast<std::size_t>(natsMsg_GetDataLength(message)));
  std::lock_guard lock(mutex);
  if (token->question)
    lanes[token->lane].on_answer(token->number, data, backlog, now);
  else
    lanes[token->lane].on_status(token->number, parse_status(header_block(message)), now);
}

// Everything delivered to this process and not handed out goes back at once, instead of after ack_wait.
void PullSource::Impl::hand_back() {
  std::vector<Message> rest;
  if (subscription) {
    // Interest ends, and what the server sent before it heard of that is read too.
    natsSubscription_DrainTimeout(subscription, kHandBack.count());
    Deadline end = steady_clock::now() + kHandBack;
    for (natsMsg* message; steady_clock::now() < end;) {
      message = nullptr;
      natsStatus status = natsSubscription_NextMsg(&message, subscription, kTick.count());
      if (message) handle(message, rest);
      if (status != NATS_OK && status != NATS_TIMEOUT) break;  // drained, or closed
    }
  }
  for (std::size_t i = backlog_at; i < backlog.size(); ++i) rest.push_back(std::move(backlog[i]));
  for (LanePull& lane : lanes)
    for (Message& message : lane.take_kept()) rest.push_back(std::move(message));
  for (const Message& message : rest) publish(message.reply, "-NAK");
  if (!rest.empty() && connection.connected()) natsConnection_FlushTimeout(link->handle, kHandBack.count());
}

PullSource::PullSource(Connection& connection, const std::string& worker, std::vector<LaneSpec> lanes,
                       PullOptions options)
    : impl_(std::make_unique<Impl>(connection)) {
  Impl* impl = impl_.get();
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    LanePullOptions lane;
    lane.prefetch = lanes[i].batch_max * std::max<std::size_t>(1, options.prefetch_batches);
    lane.prefetch_bytes = options.prefetch_bytes / lanes.size();
    lane.expires = options.expires;
    lane.heartbeat = options.heartbeat;
    lane.probe_interval = options.probe_interval;
    if (auto life = options.stream_created.find(lanes[i].stream); life != options.stream_created.end())
      lane.stream_created = life->second;
    std::string durable = worker + "-" + lanes[i].name;
    impl->lanes.emplace_back(
        i, std::move(lanes[i]), std::move(durable), lane,
        [impl](const std::string& subject, const std::string& reply, const std::string& body) {
          impl->send(subject, reply, body);
        },
        [i, notice = options.notice](const std::string& text) {
          if (notice) notice(i, text);
        });
  }
}

PullSource::~PullSource() {
  impl_->hand_back();
}

void PullSource::prepare(Deadline deadline, std::stop_token stop) {
  for (std::size_t i = 0; i < impl_->lanes.size(); ++i)
    while (state(i).condition != LaneState::Condition::running) {
      Deadline now = steady_clock::now();
      LaneState::Condition condition = state(i).condition;
      if (now >= deadline || stop.stop_requested() || condition == LaneState::Condition::recreated)
        throw BrokerError("cannot consume " + impl_->lanes[i].durable() + ": " + state(i).detail);
      impl_->tick(now);
      if (natsMsg* message = impl_->next(kTick, stop)) impl_->handle(message, impl_->backlog);
    }
}

void PullSource::receive(std::vector<Message>& out, std::size_t max, Deadline deadline,
                         std::stop_token stop) {
  Impl& impl = *impl_;
  const std::size_t before = out.size();
  while (out.size() - before < max) {
    if (impl.backlog_at < impl.backlog.size()) {
      out.push_back(std::move(impl.backlog[impl.backlog_at++]));
      continue;
    }
    impl.backlog.clear();
    impl.backlog_at = 0;
    Deadline now = steady_clock::now();
    if (now >= impl.next_tick) {
      impl.tick(now);
      if (!impl.backlog.empty()) continue;  // read before a new inbox
    }
    bool empty = out.size() == before;
    milliseconds wait{0};
    if (empty && now < deadline && !stop.stop_requested())
      wait = std::min(kTick, std::chrono::ceil<milliseconds>(deadline - now));
    if (wait > milliseconds(0)) impl.destroy_spent();
    if (natsMsg* message = impl.next(wait, stop)) {
      impl.handle(message, out);
      continue;
    }
    impl.read_until = now;
    if (!empty || wait == milliseconds(0)) return;
  }
}

void PullSource::release(std::size_t lane, std::size_t count) {
  std::lock_guard lock(impl_->mutex);
  impl_->lanes.at(lane).release(count, steady_clock::now());
}

void PullSource::pause(std::size_t lane, bool paused) {
  std::lock_guard lock(impl_->mutex);
  impl_->lanes.at(lane).pause(paused, steady_clock::now());
}

void PullSource::ack(std::string_view reply) {
  impl_->publish(reply, "");
}

void PullSource::nak(std::string_view reply, milliseconds delay) {
  if (delay <= milliseconds(0)) return impl_->publish(reply, "-NAK");
  impl_->publish(reply, "-NAK {\"delay\": " + std::to_string(std::chrono::nanoseconds(delay).count()) + "}");
}

void PullSource::in_progress(std::string_view reply) {
  impl_->publish(reply, "+WPI");
}

bool PullSource::flush(Deadline deadline) {
  for (;;) {
    if (!impl_->connection.wait_connected(deadline)) return false;
    auto link = impl_->connection.link();
    auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    if (left <= milliseconds(0)) return false;
    natsStatus status = natsConnection_FlushTimeout(link->handle, left.count());
    if (status == NATS_OK) return true;
    if (status == NATS_TIMEOUT) return false;
  }
}

LaneState PullSource::state(std::size_t lane) const {
  LaneState state;
  {
    std::lock_guard lock(impl_->mutex);
    state = impl_->lanes.at(lane).state();
  }
  if (state.condition != LaneState::Condition::recreated && !impl_->connection.connected()) {
    state.condition = LaneState::Condition::unreachable;
    state.detail = "not connected to " + impl_->connection.server() + ": " + impl_->connection.trouble();
  }
  return state;
}

}  // namespace cutover
