#include "tests/bench/broker.h"

#include <stdexcept>
#include <string_view>

#include <fmt/format.h>

namespace cutover::bench {
namespace {

// Longer than any run: a request that expires half filled would have to be counted.
constexpr std::chrono::nanoseconds kPullExpires = std::chrono::minutes(30);
constexpr std::chrono::nanoseconds kAckWait = std::chrono::seconds(30);
constexpr std::int64_t kMaxAckPending = 10'000;
constexpr std::int64_t kPublishesInFlight = 8'192;

void check(natsStatus status, std::string_view step) {
  if (status == NATS_OK) return;
  const char* detail = nats_GetLastError(nullptr);
  throw std::runtime_error(
      fmt::format("{}: {} ({})", step, natsStatus_GetText(status), detail ? detail : ""));
}

struct DestroyOptions {
  void operator()(natsOptions* options) const { natsOptions_Destroy(options); }
};

}  // namespace

Broker::Broker(const std::string& url, bool send_asap) {
  natsOptions* raw = nullptr;
  check(natsOptions_Create(&raw), "creating connection options");
  const std::unique_ptr<natsOptions, DestroyOptions> options(raw);
  check(natsOptions_SetURL(raw, url.c_str()), "setting the broker's address");
  check(natsOptions_SetSendAsap(raw, send_asap), "setting the send mode");
  check(natsConnection_Connect(&connection_, raw), "connecting to " + url);
  jsOptions jetstream;
  jsOptions_Init(&jetstream);
  jetstream.PublishAsync.MaxPending = kPublishesInFlight;
  jetstream.PublishAsync.StallWait = 30'000;
  check(natsConnection_JetStream(&jetstream_, connection_, &jetstream), "opening JetStream");
}

Broker::~Broker() {
  jsCtx_Destroy(jetstream_);
  natsConnection_Destroy(connection_);
}

void Broker::empty_stream(const std::string& stream) {
  jsErrCode code{};
  jsConsumerInfoList* consumers = nullptr;
  const natsStatus listed = js_Consumers(&consumers, jetstream_, stream.c_str(), nullptr, &code);
  if (listed != NATS_NOT_FOUND) check(listed, "listing the consumers of " + stream);
  for (int i = 0; consumers != nullptr && i < consumers->Count; ++i)
    check(js_DeleteConsumer(jetstream_, stream.c_str(), consumers->List[i]->Name, nullptr, &code),
          "deleting a consumer of " + stream);
  jsConsumerInfoList_Destroy(consumers);
  check(js_PurgeStream(jetstream_, stream.c_str(), nullptr, &code), "purging stream " + stream);
}

void Broker::create_consumer(const ConsumerName& name, const std::string& filter_subject) {
  jsErrCode code{};
  jsConsumerConfig config;
  jsConsumerConfig_Init(&config);
  config.Durable = name.durable.c_str();
  config.AckPolicy = js_AckExplicit;
  config.AckWait = kAckWait.count();
  config.MaxAckPending = kMaxAckPending;
  config.FilterSubject = filter_subject.c_str();
  jsConsumerInfo* info = nullptr;
  check(js_AddConsumer(&info, jetstream_, name.stream.c_str(), &config, nullptr, &code),
        "creating consumer " + name.durable);
  jsConsumerInfo_Destroy(info);
}

std::optional<Backlog> Broker::backlog(const ConsumerName& name) {
  jsErrCode code{};
  jsConsumerInfo* info = nullptr;
  const natsStatus status =
      js_GetConsumerInfo(&info, jetstream_, name.stream.c_str(), name.durable.c_str(), nullptr, &code);
  if (status == NATS_NOT_FOUND) return std::nullopt;
  check(status, "asking for consumer " + name.durable);
  const Backlog backlog{.pending = info->NumPending,
                        .ack_pending = static_cast<std::uint64_t>(info->NumAckPending)};
  jsConsumerInfo_Destroy(info);
  return backlog;
}

void Broker::publish(const std::string& subject, const std::string& event_id, const std::string& key,
                     const std::string& data) {
  natsMsg* raw = nullptr;
  check(natsMsg_Create(&raw, subject.c_str(), nullptr, data.data(), static_cast<int>(data.size())),
        "creating a message");
  MessagePtr message(raw);
  check(natsMsgHeader_Set(raw, "Nats-Msg-Id", event_id.c_str()), "setting the message id");
  check(natsMsgHeader_Set(raw, "Cutover-Key", key.c_str()), "setting the key");
  natsMsg* given = message.release();  // the library owns it, and sets it to null, once it was accepted
  const natsStatus status = js_PublishMsgAsync(jetstream_, &given, nullptr);
  message.reset(given);
  check(status, "publishing to " + subject);
}

void Broker::finish_publishing(std::chrono::milliseconds limit) {
  jsPubOptions options;
  jsPubOptions_Init(&options);
  options.MaxWait = limit.count();
  check(js_PublishAsyncComplete(jetstream_, &options), "waiting for the broker to store what was published");
  natsMsgList failed{};
  check(js_PublishAsyncGetPendingList(&failed, jetstream_) == NATS_NOT_FOUND ? NATS_OK : NATS_ERR,
        "some messages were not stored");
}

void Broker::flush() {
  check(natsConnection_FlushTimeout(connection_, 30'000), "flushing to the broker");
}

OverlappedPulls::OverlappedPulls(Broker& broker, const ConsumerName& name, std::size_t batch,
                                 std::size_t depth)
    : broker_(broker),
      batch_(batch),
      request_subject_("$JS.API.CONSUMER.MSG.NEXT." + name.stream + "." + name.durable),
      request_(fmt::format(R"({{"batch":{},"expires":{}}})", batch, kPullExpires.count())) {
  check(natsInbox_Create(&inbox_), "creating an inbox");
  check(natsConnection_SubscribeSync(&subscription_, broker.connection(), inbox_),
        "subscribing to the inbox");
  check(natsSubscription_SetPendingLimits(subscription_, -1, -1), "lifting the subscription's limits");
  for (std::size_t i = 0; i < depth; ++i) pull();
}

OverlappedPulls::~OverlappedPulls() {
  natsSubscription_Destroy(subscription_);
  natsInbox_Destroy(inbox_);
}

void OverlappedPulls::pull() {
  check(natsConnection_PublishRequest(broker_.connection(), request_subject_.c_str(), inbox_, request_.data(),
                                      static_cast<int>(request_.size())),
        "sending a pull request");
}

MessagePtr OverlappedPulls::next(std::chrono::milliseconds wait) {
  natsMsg* raw = nullptr;
  const natsStatus status = natsSubscription_NextMsg(&raw, subscription_, wait.count());
  if (status == NATS_TIMEOUT) return nullptr;
  check(status, "waiting for a message");
  MessagePtr message(raw);
  const char* reply = natsMsg_GetReply(raw);
  if (reply == nullptr || *reply == '\0') {
    const char* text = nullptr;
    natsMsgHeader_Get(raw, "Description", &text);
    throw std::runtime_error(
        fmt::format("the broker ended a pull request: {}", text ? text : "no description"));
  }
  return message;
}

void OverlappedPulls::settled(const MessagePtr& message) {
  check(natsConnection_Publish(broker_.connection(), natsMsg_GetReply(message.get()), nullptr, 0),
        "acknowledging");
  if (++settled_ % batch_ == 0) pull();
}

}  // namespace cutover::bench
