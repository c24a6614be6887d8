#include "runtime/nats/message_id_scan.h"

#include <algorithm>

#include "runtime/nats/ack_reply.h"
#include "runtime/nats/api.h"
#include "runtime/nats/header_block.h"
#include "runtime/nats/wire_message.h"

namespace cutover {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kFewest = 512;    // below that a consumer is not worth making
constexpr std::uint64_t kSparsest = 4;  // messages read for one that is wanted
constexpr std::size_t kPull = 4096;
constexpr milliseconds kSilence{1'000};  // a scan in which nothing arrives for so long has failed

void pull(AnswerInbox& inbox, const std::string& subject) {
  static const std::string body = "{\"batch\":" + std::to_string(kPull) + ",\"expires\":" +
                                  std::to_string(std::chrono::nanoseconds(2 * kSilence).count()) + "}";
  natsConnection_PublishRequest(inbox.handle(), subject.c_str(), inbox.subject(0).c_str(), body.data(),
                                static_cast<int>(body.size()));
}

struct Consumer {
  std::string name;
  std::uint64_t pending = 0;
};

std::optional<Consumer> create_consumer(Connection& connection, const std::string& stream, std::uint64_t from,
                                        Deadline deadline) {
  json body = {{"stream_name", stream},
               {"config",
                {{"deliver_policy", "by_start_sequence"},
                 {"opt_start_seq", from},
                 {"ack_policy", "none"},
                 {"replay_policy", "instant"},
                 {"headers_only", true},
                 {"mem_storage", true},
                 {"inactive_threshold", std::chrono::nanoseconds(std::chrono::seconds(30)).count()}}}};
  // A login that may not do this gets no answer: that must leave time for the other way.
  Deadline soon = std::min(deadline, steady_clock::now() + kSilence);
  ApiAnswer answer;
  try {
    answer = parse_answer(connection.request("$JS.API.CONSUMER.CREATE." + stream, body.dump(), soon));
  } catch (const BrokerError&) {
    return std::nullopt;
  }
  std::string name = answer.body.value("name", std::string());
  if (answer.error || name.empty()) return std::nullopt;
  return Consumer{std::move(name), answer.body.value("num_pending", std::uint64_t{0})};
}

}  // namespace

bool worth_scanning(std::span<const std::uint64_t> sequences) {
  if (sequences.size() < kFewest) return false;
  auto [first, last] = std::minmax_element(sequences.begin(), sequences.end());
  return *first > 0 && (*last - *first) / kSparsest < sequences.size();
}

bool scan_message_ids(Connection& connection, AnswerInbox& inbox, const std::string& stream,
                      std::span<const std::uint64_t> sequences, std::vector<std::optional<std::string>>& ids,
                      Deadline deadline) {
  auto [first, last] = std::minmax_element(sequences.begin(), sequences.end());
  std::optional<Consumer> consumer = create_consumer(connection, stream, *first, deadline);
  if (!consumer) return false;

  std::vector<std::optional<std::string>> run(*last - *first + 1);
  const std::string subject = "$JS.API.CONSUMER.MSG.NEXT." + stream + "." + consumer->name;
  bool ended = consumer->pending == 0;
  std::size_t received = 0;
  pull(inbox, subject);
  pull(inbox, subject);  // overlapped: one is filled while the other is read
  while (!ended && inbox.intact()) {
    milliseconds left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    if (left <= milliseconds(0)) break;
    AnswerInbox::Answer answer = inbox.next(std::min(left, kSilence), true);
    if (!answer.message || !answer.delivered)
      break;  // a status: the pull was refused, or the consumer is gone
    auto reply = parse_ack_reply(natsMsg_GetReply(answer.message.get()));
    if (!reply || reply->consumer != consumer->name) continue;  // of an earlier scan
    if (reply->stream_sequence >= *first && reply->stream_sequence <= *last)
      for (const Header& header : parse_headers(header_block(answer.message.get())))
        if (header.name == "Nats-Msg-Id") run[reply->stream_sequence - *first] = std::string(header.value);
    ended = reply->stream_sequence >= *last || reply->pending == 0;
    if (++received % kPull == 0) pull(inbox, subject);
  }
  std::string removal = "$JS.API.CONSUMER.DELETE." + stream + "." + consumer->name;
  natsConnection_Publish(inbox.handle(), removal.c_str(), "", 0);
  if (!ended) return false;
  for (std::size_t i = 0; i < sequences.size(); ++i) ids[i] = run[sequences[i] - *first];
  return true;
}

}  // namespace cutover
