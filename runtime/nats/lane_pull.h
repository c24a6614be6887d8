#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/engine/ports.h"
#include "runtime/nats/ack_reply.h"
#include "runtime/nats/api.h"
#include "runtime/nats/consumer_check.h"
#include "runtime/nats/header_block.h"
#include "runtime/nats/lane_credit.h"

namespace cutover {

struct LanePullOptions {
  std::size_t prefetch = 1536;  // messages
  std::size_t prefetch_bytes = 8 << 20;
  std::chrono::milliseconds expires{10'000};  // of a pull; made shorter than the lane's ack_wait
  std::chrono::milliseconds heartbeat{2'000};
  std::chrono::milliseconds probe_interval{5'000};
  std::chrono::milliseconds answer_timeout{5'000};
  std::optional<Instant> stream_created = std::nullopt;  // see ConsumerCheck
};

// One lane's conversation with the broker: makes sure that stream and consumer are there, pulls, listens for
// signs of life, probes. Sends through a function and is told what arrives and what time it is, so it needs
// no broker. Not thread safe: PullSource's mutex guards it.
class LanePull {
 public:
  // Sends `body` to `subject`; answers come to the source's inbox with `reply` as their last token.
  using Send =
      std::function<void(const std::string& subject, const std::string& reply, const std::string& body)>;
  // A sentence for an operator about something that was repaired or has gone wrong.
  using Notice = std::function<void(const std::string&)>;

  LanePull(std::size_t index, LaneSpec spec, std::string durable, LanePullOptions options, Send send,
           Notice notice);
  LanePull(const LanePull&) = delete;
  LanePull& operator=(const LanePull&) = delete;

  // The connection is new: all pulls are void, and everything is checked before the next one.
  void restart(Deadline now);
  // Time passes: sends what is due. `read_until`: everything that arrived before has been handed in.
  void tick(Deadline now, Deadline read_until);
  // A status for a pull.
  void on_status(std::uint64_t number, const StatusLine& status, Deadline now);
  // Somebody's question found nobody; the client library does not say whose.
  void on_nobody(Deadline now);
  // An answer of the API. Messages that were kept back and are fit to be handed out now go to `out`.
  void on_answer(std::uint64_t number, std::string_view text, std::vector<Message>& out, Deadline now);
  // A message has arrived. Goes to `out`, or is kept back until it is certain that the stream is still the
  // same.
  void on_message(Message message, const AckReply& reply, std::vector<Message>& out, Deadline now);

  void release(std::size_t count, Deadline now);
  void pause(bool paused, Deadline now);

  bool matches(const AckReply& reply) const {
    return reply.consumer == durable_ && reply.stream == spec_.stream;
  }
  // Pulls are open but no heartbeat came.
  bool silent() const { return silent_; }
  bool pulling() const { return phase_ == Phase::pulling && credit_.outstanding() > 0; }
  // Pulls again after `silent`, once consumer and stream have been checked.
  void check_again(Deadline now);
  std::vector<Message> take_kept();

  const LaneState& state() const { return state_; }
  const LaneCredit& credit() const { return credit_; }
  const std::string& durable() const { return durable_; }

 private:
  enum class Phase { waiting, checking, pulling, stopped };

  void ask(const std::string& subject, const std::string& body, Deadline now);
  void on_checked(ConsumerCheck::Outcome outcome, Deadline now);
  void on_probe(const ApiAnswer& answer, Deadline now);
  void note_consumer(const nlohmann::json& info);
  void begin_pulling(const nlohmann::json& info, Deadline now);
  void fail(LaneState::Condition condition, const std::string& detail, Deadline now);
  void stop_for_ever(const ConsumerCheck::Recreated& lives);
  void pull(Deadline now);

  const std::size_t index_;
  const LaneSpec spec_;
  const std::string durable_;
  const LanePullOptions options_;
  const Send send_;
  const Notice notice_;
  const std::string pull_subject_;

  ConsumerCheck check_;
  LaneCredit credit_;
  LaneState state_;
  Phase phase_ = Phase::waiting;
  bool paused_ = false;
  bool silent_ = false;
  bool suspect_ = false;       // the consumer's numbers went back: is the stream still the same?
  std::vector<Message> kept_;  // messages that arrived while suspect

  std::string consumer_created_;
  std::uint64_t consumer_sequence_ = 0;  // of the last message

  Deadline asking_now_{};       // for the questions of the check
  std::uint64_t question_ = 0;  // number of the last one
  bool question_open_ = false;
  Deadline question_over_;
  Deadline retry_at_{};
  Deadline pull_not_before_{};
  Deadline heard_{};
  Deadline probe_at_{};
  std::chrono::milliseconds wait_{0};  // before the next try
  bool delivered_since_probe_ = false;
  int fruitless_probes_ = 0;
};

}  // namespace cutover
