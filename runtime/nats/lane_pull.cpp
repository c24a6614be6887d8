#include "runtime/nats/lane_pull.h"

#include <algorithm>
#include <utility>

namespace cutover {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using Condition = LaneState::Condition;

constexpr milliseconds kFirstRetry{250};
constexpr milliseconds kLastRetry{5'000};
constexpr milliseconds kAfterRefusal{1'000};  // before a refused pull is sent again
constexpr int kFruitlessMax = 2;              // probes that found waiting messages and no delivery

std::int64_t nanoseconds(milliseconds time) {
  return std::chrono::nanoseconds(time).count();
}

// A pull must be over before what it delivers is delivered again, and needs two heartbeats in its life.
LanePullOptions fit(LanePullOptions options, const LaneSpec& spec) {
  options.expires = std::max(milliseconds(100), std::min(options.expires, spec.ack_wait / 2));
  options.heartbeat = std::max(milliseconds(20), std::min(options.heartbeat, options.expires / 3));
  return options;
}

}  // namespace

LanePull::LanePull(std::size_t index, LaneSpec spec, std::string durable, LanePullOptions options, Send send,
                   Notice notice)
    : index_(index),
      spec_(std::move(spec)),
      durable_(std::move(durable)),
      options_(fit(std::move(options), spec_)),
      send_(std::move(send)),
      notice_(std::move(notice)),
      pull_subject_("$JS.API.CONSUMER.MSG.NEXT." + spec_.stream + "." + durable_),
      check_(
          spec_, durable_, options_.stream_created,
          [this](const std::string& subject, const std::string& body) { ask(subject, body, asking_now_); },
          notice_),
      credit_(options_.prefetch, options_.prefetch_bytes, options_.expires + options_.answer_timeout) {
  state_.condition = Condition::unreachable;
  state_.detail = "not connected yet";
}

void LanePull::restart(Deadline now) {
  credit_.forget_pulls();
  wait_ = milliseconds(0);
  check_again(now);
}

void LanePull::check_again(Deadline now) {
  silent_ = false;
  if (phase_ == Phase::stopped) return;
  credit_.forget_pulls();
  phase_ = Phase::checking;
  asking_now_ = now;
  check_.begin();
}

void LanePull::tick(Deadline now, Deadline read_until) {
  if (phase_ == Phase::stopped) return;
  if (question_open_ && now >= question_over_) {
    question_open_ = false;
    if (phase_ == Phase::checking)
      fail(Condition::unreachable,
           "JetStream does not answer questions about stream " + spec_.stream + " and consumer " + durable_ +
               "; it may be without a leader, or this login may not use $JS.API.>",
           now);
  }
  if (phase_ == Phase::waiting && now >= retry_at_) check_again(now);
  if (phase_ != Phase::pulling) return;

  credit_.expire(now);
  if (credit_.outstanding() > 0 && read_until > heard_ && read_until - heard_ > options_.heartbeat * 5 / 2) {
    silent_ = true;
    state_.condition = Condition::unreachable;
    state_.detail = "no heartbeat from consumer " + durable_ + " of stream " + spec_.stream;
    return;
  }
  if (!question_open_ && now >= probe_at_)
    ask("$JS.API.CONSUMER.INFO." + spec_.stream + "." + durable_, "", now);
  pull(now);
}

void LanePull::ask(const std::string& subject, const std::string& body, Deadline now) {
  question_open_ = true;
  question_over_ = now + options_.answer_timeout;
  send_(subject, "q" + std::to_string(index_) + "-" + std::to_string(++question_), body);
}

void LanePull::on_answer(std::uint64_t number, std::string_view text, std::vector<Message>& out,
                         Deadline now) {
  if (!question_open_ || number != question_) return;  // an answer that came too late
  question_open_ = false;
  asking_now_ = now;
  if (phase_ == Phase::checking)
    on_checked(check_.on_answer(parse_answer(text)), now);
  else if (phase_ == Phase::pulling)
    on_probe(parse_answer(text), now);
  if (phase_ == Phase::pulling && std::exchange(suspect_, false))
    for (Message& message : take_kept()) out.push_back(std::move(message));
}

void LanePull::on_checked(ConsumerCheck::Outcome outcome, Deadline now) {
  if (auto* ready = std::get_if<ConsumerCheck::Ready>(&outcome)) begin_pulling(ready->info, now);
  if (auto* failed = std::get_if<ConsumerCheck::Failed>(&outcome))
    fail(failed->condition, failed->detail, now);
  if (auto* lives = std::get_if<ConsumerCheck::Recreated>(&outcome)) stop_for_ever(*lives);
}

void LanePull::stop_for_ever(const ConsumerCheck::Recreated& lives) {
  phase_ = Phase::stopped;
  credit_.forget_pulls();
  kept_.clear();  // of the new stream: not ours to handle
  suspect_ = false;
  state_.condition = Condition::recreated;
  state_.detail = "stream " + spec_.stream + " was deleted and created again at " +
                  format_api_time(lives.now) + ", it was of " + format_api_time(lives.before) +
                  "; declare its new life with `cutover incarnation start`, then restart";
  notice_(state_.detail);
}

void LanePull::note_consumer(const json& info) {
  state_.pending = info.value("num_pending", std::uint64_t{0});
  state_.ack_pending = info.value("num_ack_pending", std::uint64_t{0});
  state_.ack_floor = info.value(json::json_pointer("/ack_floor/stream_seq"), std::uint64_t{0});
  check_.settled_through(state_.ack_floor);
  std::string created = info.value("created", std::string());
  if (created != consumer_created_) consumer_sequence_ = 0;  // another life of the consumer: it counts from 1
  consumer_created_ = std::move(created);
}

void LanePull::begin_pulling(const json& info, Deadline now) {
  note_consumer(info);
  phase_ = Phase::pulling;
  state_.condition = Condition::running;
  state_.detail.clear();
  wait_ = milliseconds(0);
  heard_ = now;
  probe_at_ = now + options_.probe_interval;
  fruitless_probes_ = 0;
  delivered_since_probe_ = false;
  pull(now);
}

void LanePull::on_probe(const ApiAnswer& answer, Deadline now) {
  probe_at_ = now + options_.probe_interval;
  if (answer.error) {
    if (answer.error->code == 404) check_again(now);
    return;  // otherwise the heartbeats tell
  }
  if (answer.body.value("created", std::string()) != consumer_created_) return check_again(now);
  note_consumer(answer.body);

  bool delivered = std::exchange(delivered_since_probe_, false);
  if (delivered || state_.pending == 0 || credit_.outstanding() == 0 || paused_) {
    fruitless_probes_ = 0;
    if (state_.condition == Condition::stalled) state_.condition = Condition::running, state_.detail.clear();
    return;
  }
  if (++fruitless_probes_ >= kFruitlessMax) {
    state_.condition = Condition::stalled;
    state_.detail =
        "consumer " + durable_ + " has " + std::to_string(state_.pending) +
        " messages waiting but delivers none; " +
        (state_.ack_pending >= spec_.max_ack_pending
             ? "all " + std::to_string(spec_.max_ack_pending) + " places for unacknowledged ones are taken"
             : "restart the leader of the consumer (`nats consumer cluster step-down`) or the server");
  }
  if (state_.ack_pending < spec_.max_ack_pending) {
    credit_.forget_pulls();
    pull(now);
  }
}

void LanePull::fail(Condition condition, const std::string& detail, Deadline now) {
  phase_ = Phase::waiting;
  credit_.forget_pulls();
  if (state_.condition != condition || state_.detail != detail) {
    state_.condition = condition;
    state_.detail = detail;
    notice_(detail);
  }
  wait_ = wait_ == milliseconds(0) ? kFirstRetry : std::min(wait_ * 2, kLastRetry);
  retry_at_ = now + wait_;
}

void LanePull::on_nobody(Deadline now) {
  if (!question_open_ || phase_ != Phase::checking) return;
  question_open_ = false;
  fail(Condition::unreachable, "nobody answers the JetStream API; is JetStream enabled for this account?",
       now);
}

void LanePull::on_status(std::uint64_t number, const StatusLine& status, Deadline now) {
  if (phase_ == Phase::stopped || !credit_.knows(number)) return;  // or a pull that was given up
  heard_ = std::max(heard_, now);
  switch (classify(status)) {
    case PullStatus::none:
    case PullStatus::heartbeat:
      return;
    case PullStatus::expired:
      credit_.closed(number, status.pending_messages);
      break;
    case PullStatus::too_large:
      credit_.too_large(number, status.pending_messages);
      break;
    case PullStatus::too_many_pulls:
      credit_.closed(number, UINT64_MAX);  // nothing of it came
      pull_not_before_ = now + kAfterRefusal;
      return;
    case PullStatus::consumer_deleted:
      return check_again(now);
    case PullStatus::leader_changed:
    case PullStatus::no_responders:
      credit_.forget_pulls();
      phase_ = Phase::waiting;
      retry_at_ = now + kFirstRetry;
      return;
    case PullStatus::push_consumer:
      return fail(Condition::missing,
                  "consumer " + durable_ + " of stream " + spec_.stream +
                      " delivers by push; delete it, it will be created anew",
                  now);
    case PullStatus::unknown:  // of a later server: the pull is over, and the watchdog sees whether it
                               // matters
      credit_.closed(number, status.pending_messages);
      pull_not_before_ = now + kAfterRefusal;
      return;
    case PullStatus::refused:
      return fail(Condition::missing,
                  "consumer " + durable_ + " refuses pulls: " + std::to_string(status.code) + " " +
                      std::string(status.description),
                  now);
  }
  pull(now);
}

void LanePull::on_message(Message message, const AckReply& reply, std::vector<Message>& out, Deadline now) {
  if (phase_ == Phase::stopped) return;
  heard_ = std::max(heard_, now);
  credit_.arrived(message.subject.size() + message.reply.size() + message.data.size());
  delivered_since_probe_ = true;
  state_.pending = reply.pending;
  if (state_.condition == Condition::stalled) state_.condition = Condition::running, state_.detail.clear();
  // A consumer counts its deliveries up. Where it starts over it was created again, perhaps with its stream,
  // and then these would be other events at old sequences.
  if (reply.consumer_sequence <= consumer_sequence_ && !suspect_) {
    suspect_ = true;
    check_again(now);
  }
  consumer_sequence_ = reply.consumer_sequence;
  if (!suspect_) check_.saw(reply.stream_sequence, reply.published_at);
  if (suspect_)
    kept_.push_back(std::move(message));
  else
    out.push_back(std::move(message));
}

void LanePull::release(std::size_t count, Deadline now) {
  credit_.released(count);
  pull(now);
}

void LanePull::pause(bool paused, Deadline now) {
  paused_ = paused;
  pull(now);
}

void LanePull::pull(Deadline now) {
  if (phase_ != Phase::pulling || paused_ || silent_ || now < pull_not_before_) return;
  if (credit_.outstanding() == 0) heard_ = std::max(heard_, now);
  while (std::optional<Pull> next = credit_.next(now)) {
    std::string body = "{\"batch\":" + std::to_string(next->batch) +
                       ",\"expires\":" + std::to_string(nanoseconds(options_.expires)) +
                       ",\"idle_heartbeat\":" + std::to_string(nanoseconds(options_.heartbeat));
    if (next->bytes_max > 0) body += ",\"max_bytes\":" + std::to_string(next->bytes_max);
    send_(pull_subject_, std::to_string(index_) + "-" + std::to_string(next->number), body + "}");
  }
}

std::vector<Message> LanePull::take_kept() {
  return std::exchange(kept_, {});
}

}  // namespace cutover
