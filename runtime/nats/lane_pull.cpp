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

std::uint64_t sequence_of(const json& info, const char* what) {
  return info.value(json::json_pointer("/" + std::string(what) + "/stream_seq"), std::uint64_t{0});
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
      credit_(options_.prefetch, options_.prefetch_bytes, options_.expires + options_.answer_timeout),
      stream_created_(options_.stream_created) {
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
  ask_stream(now);
}

void LanePull::tick(Deadline now, Deadline read_until) {
  if (phase_ == Phase::stopped) return;
  if (question_open_ && now >= question_over_) {
    question_open_ = false;
    if (phase_ != Phase::pulling)
      fail(Condition::unreachable,
           "JetStream does not answer questions about stream " + spec_.stream + " and consumer " + durable_ +
               "; it may be without a leader, or this login may not use $JS.API.>",
           now);
  }
  if (phase_ == Phase::waiting && now >= retry_at_) ask_stream(now);
  if (phase_ != Phase::pulling) return;

  credit_.expire(now);
  if (credit_.outstanding() > 0 && read_until > heard_ && read_until - heard_ > options_.heartbeat * 5 / 2) {
    silent_ = true;
    state_.condition = Condition::unreachable;
    state_.detail = "no heartbeat from consumer " + durable_ + " of stream " + spec_.stream;
    return;
  }
  if (!question_open_ && now >= probe_at_) ask_consumer(Phase::pulling, now);
  pull(now);
}

void LanePull::ask(Phase phase, const std::string& subject, const std::string& body, Deadline now) {
  phase_ = phase;
  question_open_ = true;
  question_over_ = now + options_.answer_timeout;
  probe_at_ = now + options_.probe_interval;
  send_(subject, "q" + std::to_string(index_) + "-" + std::to_string(++question_), body);
}

void LanePull::ask_stream(Deadline now) {
  ask(Phase::stream_info, "$JS.API.STREAM.INFO." + spec_.stream, "", now);
}

void LanePull::ask_consumer(Phase phase, Deadline now) {
  ask(phase, "$JS.API.CONSUMER.INFO." + spec_.stream + "." + durable_, "", now);
}

void LanePull::write_consumer(const json& config, Deadline now) {
  json body = {{"stream_name", spec_.stream}, {"config", config}};
  ask(Phase::consumer_write, "$JS.API.CONSUMER.DURABLE.CREATE." + spec_.stream + "." + durable_, body.dump(),
      now);
}

void LanePull::on_answer(std::uint64_t number, std::string_view text, std::vector<Message>& out,
                         Deadline now) {
  if (!question_open_ || number != question_) return;  // an answer that came too late
  question_open_ = false;
  ApiAnswer answer = parse_answer(text);
  switch (phase_) {
    case Phase::stream_info:
      on_stream(answer, now);
      break;
    case Phase::consumer_info:
      on_consumer(answer, now);
      break;
    case Phase::consumer_write:
      on_written(answer, now);
      break;
    case Phase::pulling:
      on_probe(answer, now);
      break;
    case Phase::waiting:
    case Phase::stopped:
      break;
  }
  if (phase_ == Phase::pulling && std::exchange(suspect_, false))
    for (Message& message : take_kept()) out.push_back(std::move(message));
}

void LanePull::on_stream(const ApiAnswer& answer, Deadline now) {
  if (answer.error) {
    if (answer.error->err_code == kStreamNotFound)
      return fail(Condition::missing,
                  "there is no stream " + spec_.stream + "; create it with `cutover streams apply`", now);
    return fail(Condition::unreachable, "stream " + spec_.stream + ": " + answer.error->description, now);
  }
  std::optional<Instant> created = parse_api_time(answer.body.value("created", std::string()));
  if (!created)
    return fail(Condition::unreachable,
                "stream " + spec_.stream + ": the server does not say when it was created", now);
  if (stream_created_ && *stream_created_ != *created) return stop_for_ever(*created);
  stream_created_ = created;
  stream_last_ = answer.body.value(json::json_pointer("/state/last_seq"), std::uint64_t{0});
  ask_consumer(Phase::consumer_info, now);
}

void LanePull::stop_for_ever(Instant created) {
  auto text = [](Instant time) { return std::to_string(time.time_since_epoch().count()); };
  phase_ = Phase::stopped;
  credit_.forget_pulls();
  kept_.clear();  // of the new stream: not ours to handle
  suspect_ = false;
  state_.condition = Condition::recreated;
  state_.detail = "stream " + spec_.stream + " was deleted and created again (created at " + text(created) +
                  " us, before at " + text(*stream_created_) +
                  " us since 1970); declare the new life with `cutover incarnation start`, then restart";
  notice_(state_.detail);
}

void LanePull::on_consumer(const ApiAnswer& answer, Deadline now) {
  if (answer.error) {
    if (answer.error->err_code != kConsumerNotFound)
      return fail(Condition::unreachable, "consumer " + durable_ + ": " + answer.error->description, now);
    json config = consumer_config(spec_, durable_);
    if (settled_through_ && *settled_through_ > 0) {
      config["deliver_policy"] = "by_start_sequence";
      config["opt_start_seq"] = *settled_through_ + 1;
      notice_("consumer " + durable_ + " of stream " + spec_.stream +
              " was deleted; created again, from sequence " + std::to_string(*settled_through_ + 1));
    }
    return write_consumer(config, now);
  }
  if (auto changed =
          changed_config(answer.body.value("config", json::object()), consumer_config(spec_, durable_)))
    return write_consumer(*changed, now);
  begin_pulling(answer.body, now);
}

void LanePull::on_written(const ApiAnswer& answer, Deadline now) {
  if (answer.error)
    return fail(Condition::missing,
                "consumer " + durable_ + " of stream " + spec_.stream +
                    " cannot be made as the lane wants it: " + answer.error->description +
                    "; change the lane, or delete the consumer and restart",
                now);
  begin_pulling(answer.body, now);
}

void LanePull::note_consumer(const json& info) {
  state_.pending = info.value("num_pending", std::uint64_t{0});
  state_.ack_pending = info.value("num_ack_pending", std::uint64_t{0});
  settled_through_ = sequence_of(info, "ack_floor");
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

  bool asked = credit_.outstanding() > 0 && !paused_;
  bool stuck = asked && state_.pending > 0 && !std::exchange(delivered_since_probe_, false);
  if (!stuck) {
    fruitless_probes_ = 0;
    if (state_.condition == Condition::stalled) state_.condition = Condition::running, state_.detail.clear();
    return;
  }
  if (++fruitless_probes_ >= kFruitlessMax) {
    state_.condition = Condition::stalled;
    state_.detail =
        "consumer " + durable_ + " has " + std::to_string(state_.pending) +
        " messages waiting but delivers " + "none; " +
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
  if (!question_open_ || phase_ == Phase::pulling || phase_ == Phase::stopped) return;
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
      credit_.closed(number, std::nullopt);
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
    case PullStatus::refused:
    case PullStatus::unknown:
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
