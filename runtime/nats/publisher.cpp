#include "runtime/nats/publisher.h"

#include <algorithm>
#include <map>

#include "runtime/nats/answer_inbox.h"
#include "runtime/nats/api.h"
#include "runtime/nats/message_id_scan.h"
#include "runtime/nats/publish_ack.h"

namespace cutover {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kUnansweredMax = 4096;
constexpr std::size_t kReadsOpenMax = 512;
constexpr milliseconds kAfterFailedScan{600'000};  // what a stream does not allow, it will not allow soon
constexpr milliseconds kLook{50};                  // a lost connection is noticed at least this often

std::string_view data_of(const NatsMessage& message) {
  return {natsMsg_GetData(message.get()), static_cast<std::size_t>(natsMsg_GetDataLength(message.get()))};
}

}  // namespace

struct NatsPublisher::Impl {
  explicit Impl(Connection& c) : connection(c), inbox(c) {}

  Connection& connection;
  AnswerInbox inbox;
  std::map<std::string, Deadline> scan_not_before;  // by stream
  std::string subject, name, value;                 // closed by zeros for the library

  std::string send(const Publication& publication, std::size_t n);
  // One more answer, null when the deadline has passed or the connection is lost.
  AnswerInbox::Answer wait(Deadline deadline);
};

// Returns why it was not sent; empty when it was.
std::string NatsPublisher::Impl::send(const Publication& publication, std::size_t n) {
  subject = publication.subject;
  natsMsg* raw = nullptr;
  natsStatus status =
      natsMsg_Create(&raw, subject.c_str(), inbox.subject(n).c_str(), publication.payload.data(),
                     static_cast<int>(publication.payload.size()));
  NatsMessage message(raw);
  auto add = [&](std::string_view header, std::string_view content) {
    if (status != NATS_OK) return;
    name = header;
    value = content;
    status = natsMsgHeader_Add(raw, name.c_str(), value.c_str());
  };
  if (!publication.message_id.empty()) add("Nats-Msg-Id", publication.message_id);
  for (const Header& header : publication.headers) add(header.name, header.value);
  if (status == NATS_OK) status = natsConnection_PublishMsg(inbox.handle(), raw);
  if (status == NATS_OK) return {};
  if (status == NATS_MAX_PAYLOAD)
    return "larger than the server's max_payload of " +
           std::to_string(natsConnection_GetMaxPayload(inbox.handle())) + " bytes";
  return "not sent: " + describe(status);
}

AnswerInbox::Answer NatsPublisher::Impl::wait(Deadline deadline) {
  for (;;) {
    milliseconds left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    auto answer = inbox.next(std::clamp(left, milliseconds(0), kLook));
    if (answer.message || answer.nobody || left <= kLook || !inbox.intact()) return answer;
  }
}

NatsPublisher::NatsPublisher(Connection& connection) : impl_(std::make_unique<Impl>(connection)) {}

NatsPublisher::~NatsPublisher() = default;

std::vector<PublishAck> NatsPublisher::publish(std::span<const Publication> messages, Deadline deadline) {
  std::vector<PublishAck> acks(messages.size());
  std::vector<bool> answered(messages.size());
  std::size_t open = 0;    // sent, not answered
  std::size_t nobody = 0;  // of these, how many found no stream; which ones shows in the end
  auto fail_rest = [&](const std::string& why) {
    for (std::size_t i = 0; i < acks.size(); ++i)
      if (!answered[i]) acks[i].error = why;
  };
  if (messages.empty()) return acks;
  if (!impl_->connection.wait_connected(deadline) || !impl_->inbox.begin()) {
    fail_rest("not connected to " + impl_->connection.server() + ": " + impl_->connection.trouble());
    return acks;
  }

  auto take_answer = [&] {
    AnswerInbox::Answer answer = impl_->wait(deadline);
    if (answer.nobody) ++nobody;
    if (!answer.message) return answer.nobody;
    if (answer.n >= acks.size() || answered[answer.n]) return true;
    answered[answer.n] = true;
    --open;
    acks[answer.n] = parse_publish_ack(data_of(answer.message));
    return true;
  };

  bool alive = true;
  for (std::size_t i = 0; i < messages.size() && alive; ++i) {
    while (alive && open - nobody >= kUnansweredMax) alive = take_answer();
    if (!alive) break;
    std::string refused = impl_->send(messages[i], i);
    if (refused.empty()) {
      ++open;
    } else {
      answered[i] = true;
      acks[i].error = std::move(refused);
    }
  }
  // The library would hold the last ones for up to a millisecond.
  if (alive && open > 0) {
    milliseconds left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    if (left > milliseconds(0)) natsConnection_FlushTimeout(impl_->inbox.handle(), left.count());
  }
  while (alive && open > nobody) alive = take_answer();
  if (alive) {
    for (std::size_t i = 0; i < acks.size(); ++i)
      if (!answered[i]) acks[i].error = "no stream covers subject " + std::string(messages[i].subject);
  } else {
    fail_rest(impl_->inbox.intact()
                  ? "timeout: no answer from " + impl_->connection.server() + (nobody ? ", or no stream" : "")
                  : "the connection was lost before the answer: stored or not");
    impl_->inbox.reset();
  }
  return acks;
}

std::vector<std::optional<std::string>> NatsPublisher::message_ids(const std::string& stream,
                                                                   std::span<const std::uint64_t> sequences,
                                                                   Deadline deadline) {
  std::vector<std::optional<std::string>> ids(sequences.size());
  if (sequences.empty()) return ids;
  auto failed = [&](const std::string& why) {
    return BrokerError("cannot read messages of stream " + stream + " from " + impl_->connection.server() +
                       ": " + why);
  };
  if (!impl_->connection.wait_connected(deadline) || !impl_->inbox.begin())
    throw failed("not connected, " + impl_->connection.trouble());
  if (worth_scanning(sequences) && steady_clock::now() >= impl_->scan_not_before[stream]) {
    if (scan_message_ids(impl_->connection, impl_->inbox, stream, sequences, ids, deadline)) return ids;
    impl_->scan_not_before[stream] = steady_clock::now() + kAfterFailedScan;
  }
  if (!impl_->inbox.begin()) throw failed("not connected, " + impl_->connection.trouble());
  const std::string subject = "$JS.API.STREAM.MSG.GET." + stream;
  std::size_t sent = 0;
  for (std::size_t answered = 0; answered < ids.size(); ++answered) {
    // Refilled in halves, so that requests leave together.
    if (sent - answered <= kReadsOpenMax / 2)
      for (; sent < ids.size() && sent - answered < kReadsOpenMax; ++sent) {
        std::string body = "{\"seq\":" + std::to_string(sequences[sent]) + "}";
        natsStatus status = natsConnection_PublishRequest(impl_->inbox.handle(), subject.c_str(),
                                                          impl_->inbox.subject(sent).c_str(), body.data(),
                                                          static_cast<int>(body.size()));
        if (status != NATS_OK) throw failed(describe(status));
      }
    AnswerInbox::Answer answer = impl_->wait(deadline);
    std::string why;
    if (answer.nobody) why = "nobody answers; is JetStream enabled for this account?";
    if (!answer.message && !answer.nobody)
      why =
          impl_->inbox.intact() ? "no answer in time" : "the connection was lost; try again when it is back";
    try {
      if (answer.message && answer.n < ids.size()) ids[answer.n] = parse_message_id(data_of(answer.message));
    } catch (const BrokerError& refusal) {
      why = refusal.what();
    }
    if (!why.empty()) {
      impl_->inbox.reset();
      throw failed(why);
    }
  }
  return ids;
}

std::optional<StreamLife> NatsPublisher::stream_life(const std::string& stream, Deadline deadline) {
  ApiAnswer answer = parse_answer(impl_->connection.request("$JS.API.STREAM.INFO." + stream, "", deadline));
  if (answer.error && answer.error->err_code == kStreamNotFound) return std::nullopt;
  auto created = parse_api_time(answer.body.value("created", std::string()));
  if (answer.error || !created)
    throw BrokerError("cannot read stream " + stream + " of " + impl_->connection.server() + ": " +
                      (answer.error ? answer.error->description : std::string("no creation time")));
  using nlohmann::json;
  return StreamLife{*created, answer.body.value(json::json_pointer("/state/first_seq"), std::uint64_t{0}),
                    answer.body.value(json::json_pointer("/state/last_seq"), std::uint64_t{0})};
}

std::uint64_t NatsPublisher::connection_epoch() const {
  return impl_->connection.epoch();
}

}  // namespace cutover
