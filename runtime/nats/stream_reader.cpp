#include "runtime/nats/stream_reader.h"

#include <algorithm>

#include "runtime/nats/ack_reply.h"
#include "runtime/nats/answer_inbox.h"
#include "runtime/nats/api.h"
#include "runtime/nats/header_block.h"
#include "runtime/nats/wire_message.h"

namespace cutover {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kPull =
    1'024;  // with two of them open, messages of the largest size still fit into memory
constexpr milliseconds kSilence{2'000};
constexpr std::chrono::seconds kExpires{30};

BrokerError failed(const StreamRange& range, const Connection& connection, const std::string& why) {
  return BrokerError("cannot read stream " + range.stream + " of " + connection.server() + ": " + why);
}

struct Consumer {
  std::string name;
  std::uint64_t pending = 0;
};

Consumer create_consumer(Connection& connection, const StreamRange& range, Deadline deadline) {
  json config = {{"deliver_policy", "by_start_sequence"},
                 {"opt_start_seq", range.first},
                 {"ack_policy", "none"},
                 {"replay_policy", "instant"},
                 {"mem_storage", true},
                 {"inactive_threshold", std::chrono::nanoseconds(2 * kExpires).count()}};
  if (!range.filter_subject.empty()) config["filter_subject"] = range.filter_subject;
  if (range.headers_only) config["headers_only"] = true;
  const json body = {{"stream_name", range.stream}, {"config", config}};
  const ApiAnswer answer =
      parse_answer(connection.request("$JS.API.CONSUMER.CREATE." + range.stream, body.dump(), deadline));
  if (answer.error) throw failed(range, connection, answer.error->description);
  return {answer.body.value("name", std::string()), answer.body.value("num_pending", std::uint64_t{0})};
}

void pull(AnswerInbox& inbox, const std::string& subject) {
  static const std::string body = "{\"batch\":" + std::to_string(kPull) + ",\"expires\":" +
                                  std::to_string(std::chrono::nanoseconds(kExpires).count()) + "}";
  natsConnection_PublishRequest(inbox.handle(), subject.c_str(), inbox.subject(0).c_str(), body.data(),
                                static_cast<int>(body.size()));
}

}  // namespace

std::uint64_t read_stream(Connection& connection, const StreamRange& range,
                          const std::function<void(Message&&)>& take, Deadline deadline) {
  StreamRange wanted = range;
  wanted.first = std::max<std::uint64_t>(range.first, 1);
  if (wanted.last < wanted.first) return 0;
  if (!connection.wait_connected(deadline))
    throw failed(range, connection, "not connected, " + connection.trouble());
  const Consumer consumer = create_consumer(connection, wanted, deadline);
  AnswerInbox inbox(connection);
  if (!inbox.begin()) throw failed(range, connection, "the connection was lost");

  const std::string subject = "$JS.API.CONSUMER.MSG.NEXT." + wanted.stream + "." + consumer.name;
  bool ended = consumer.pending == 0;
  std::string why = "no answer in time";
  std::uint64_t count = 0;
  std::size_t received = 0;
  if (!ended) {
    pull(inbox, subject);
    pull(inbox, subject);  // overlapped: one is filled while the other is read
  }
  while (!ended) {
    const milliseconds left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    if (left <= milliseconds(0)) break;
    AnswerInbox::Answer answer = inbox.next(std::min(left, kSilence), true);
    if (!inbox.intact()) {
      why = "the connection was lost";
      break;
    }
    if (!answer.message || !answer.delivered) {
      if (answer.message) why = std::string(parse_status(header_block(answer.message.get())).description);
      break;
    }
    const auto reply = parse_ack_reply(natsMsg_GetReply(answer.message.get()));
    if (!reply || reply->consumer != consumer.name) continue;
    if (reply->stream_sequence >= wanted.first && reply->stream_sequence <= wanted.last) {
      Message message = copy_message(answer.message.get());
      message.stream_sequence = reply->stream_sequence;
      message.published_at = reply->published_at;
      ++count;
      take(std::move(message));
    }
    ended = reply->stream_sequence >= wanted.last || reply->pending == 0;
    if (++received % kPull == 0 && !ended) pull(inbox, subject);
  }
  const std::string removal = "$JS.API.CONSUMER.DELETE." + wanted.stream + "." + consumer.name;
  if (inbox.intact()) natsConnection_Publish(inbox.handle(), removal.c_str(), "", 0);
  if (!ended) throw failed(range, connection, why);
  return count;
}

}  // namespace cutover
