#include "runtime/nats/consumer_check.h"

#include <algorithm>
#include <utility>

namespace cutover {
namespace {

using nlohmann::json;
using Condition = LaneState::Condition;

std::uint64_t number_at(const json& info, const char* pointer) {
  return info.value(json::json_pointer(pointer), std::uint64_t{0});
}

}  // namespace

ConsumerCheck::ConsumerCheck(LaneSpec spec, std::string durable, std::optional<Instant> stream_created,
                             Ask ask, Notice notice)
    : spec_(std::move(spec)),
      durable_(std::move(durable)),
      ask_(std::move(ask)),
      notice_(std::move(notice)),
      stream_created_(stream_created) {}

void ConsumerCheck::begin() {
  checked_ = seen_;
  checked_is_gone_ = false;
  rewinding_ = false;
  ask_stream(Step::stream);
}

void ConsumerCheck::saw(std::uint64_t sequence, Instant published_at) {
  if (!seen_ || sequence > seen_->sequence) seen_ = Seen{sequence, published_at};
}

void ConsumerCheck::settled_through(std::uint64_t sequence) {
  settled_ = std::max(settled_, sequence);
}

void ConsumerCheck::ask(Step step, const std::string& subject, const json& body) {
  step_ = step;
  ask_("$JS.API." + subject, body.is_null() ? std::string() : body.dump());
}

ConsumerCheck::Outcome ConsumerCheck::ask_stream(Step step) {
  ask(step, "STREAM.INFO." + spec_.stream, nullptr);
  return Asked{};
}

ConsumerCheck::Outcome ConsumerCheck::ask_consumer() {
  ask(Step::consumer, "CONSUMER.INFO." + spec_.stream + "." + durable_, nullptr);
  return Asked{};
}

ConsumerCheck::Outcome ConsumerCheck::write(const json& config) {
  ask(Step::write, "CONSUMER.DURABLE.CREATE." + spec_.stream + "." + durable_,
      {{"stream_name", spec_.stream}, {"config", config}});
  return Asked{};
}

ConsumerCheck::Outcome ConsumerCheck::replace(json config) {
  replacement_ = std::move(config);
  ask(Step::removal, "CONSUMER.DELETE." + spec_.stream + "." + durable_, nullptr);
  return Asked{};
}

ConsumerCheck::Outcome ConsumerCheck::on_answer(const ApiAnswer& answer) {
  const std::optional<ApiError>& error = answer.error;
  switch (step_) {
    case Step::stream:
    case Step::stream_again:
      if (error && error->err_code == kStreamNotFound)
        return Failed{Condition::missing,
                      "there is no stream " + spec_.stream + "; create it with `cutover streams apply`"};
      if (error) return Failed{Condition::unreachable, "stream " + spec_.stream + ": " + error->description};
      return on_stream(answer.body);
    case Step::last_seen:
      return on_last_seen(answer);
    case Step::consumer:
      if (error && error->err_code == kConsumerNotFound) {
        if (checked_is_gone_) return rewind("");
        if (settled_ > 0)
          notice_("consumer " + durable_ + " of stream " + spec_.stream +
                  " was deleted; created again, behind sequence " + std::to_string(settled_));
        return write(config_from(settled_ + 1));
      }
      if (error) return Failed{Condition::unreachable, "consumer " + durable_ + ": " + error->description};
      return on_consumer(answer.body);
    case Step::removal:
      if (error && error->code != 404)
        return Failed{Condition::unreachable, "cannot replace consumer " + durable_ + " of stream " +
                                                  spec_.stream +
                                                  ", which is ahead of it: " + error->description};
      return write(replacement_);
    case Step::write:
      return on_written(answer);
  }
  return Asked{};
}

ConsumerCheck::Outcome ConsumerCheck::on_stream(const json& info) {
  std::optional<Instant> created = parse_api_time(info.value("created", std::string()));
  if (!created)
    return Failed{Condition::unreachable,
                  "stream " + spec_.stream + ": the server does not say when it was created"};
  if (stream_created_ && *stream_created_ != *created) return Recreated{*stream_created_, *created};
  stream_created_ = created;
  stream_last_ = number_at(info, "/state/last_seq");
  work_queue_ = info.value(json::json_pointer("/config/retention"), std::string()) == "workqueue";
  if (step_ == Step::stream_again) {
    if (number_at(consumer_, "/delivered/stream_seq") > stream_last_) return rewind("it ends before it");
    return adapt();
  }
  if (checked_ && checked_->sequence > stream_last_)
    checked_is_gone_ = true;
  else if (checked_ && checked_->sequence >= number_at(info, "/state/first_seq")) {
    ask(Step::last_seen, "STREAM.MSG.GET." + spec_.stream, {{"seq", checked_->sequence}});
    return Asked{};
  }
  return ask_consumer();
}

// The message that was delivered last may have been deleted since, but its place never holds another one.
ConsumerCheck::Outcome ConsumerCheck::on_last_seen(const ApiAnswer& answer) {
  if (answer.error && answer.error->err_code != kNoMessageFound)
    return Failed{Condition::unreachable, "stream " + spec_.stream + ": " + answer.error->description};
  if (!answer.error) {
    auto time = parse_api_time(answer.body.value(json::json_pointer("/message/time"), std::string()));
    checked_is_gone_ = time && *time != checked_->published_at;
  }
  return ask_consumer();
}

ConsumerCheck::Outcome ConsumerCheck::on_consumer(const json& info) {
  consumer_ = info;
  if (checked_is_gone_)
    return rewind("sequence " + std::to_string(checked_->sequence) + " is another message now");
  // The stream may have grown since it was asked, so it is asked again before it is called short.
  if (number_at(info, "/delivered/stream_seq") > stream_last_) return ask_stream(Step::stream_again);
  return adapt();
}

ConsumerCheck::Outcome ConsumerCheck::adapt() {
  json live = consumer_.value("config", json::object());
  std::string filter = live.value("filter_subject", std::string());
  if (filter != spec_.filter_subject) {
    // Changed in place, it would only hold for what is still to come. Only a process that starts may do this:
    // two versions of a worker would do it in turns.
    if (passed_)
      return Failed{Condition::missing, "consumer " + durable_ + " of stream " + spec_.stream + " reads \"" +
                                            filter + "\" now instead of \"" + spec_.filter_subject +
                                            "\", another version of the worker runs; stop one of the two"};
    notice_("consumer " + durable_ + " of stream " + spec_.stream + " read \"" + filter +
            "\" and shall read \"" + spec_.filter_subject + "\"; created again, from the beginning");
    return replace(consumer_config(spec_, durable_));
  }
  if (auto changed = changed_config(live, consumer_config(spec_, durable_))) return write(*changed);
  passed_ = true;
  return Ready{std::move(consumer_)};
}

ConsumerCheck::Outcome ConsumerCheck::rewind(const std::string& evidence) {
  rewinding_ = true;
  rewind_settled_ = std::max(settled_, number_at(consumer_, "/ack_floor/stream_seq"));
  json config = consumer_config(spec_, durable_);
  std::string from = "the beginning";
  if (checked_ && !work_queue_) {
    from = format_api_time(checked_->published_at);
    config["deliver_policy"] = "by_start_time";
    config["opt_start_time"] = from;
  }
  notice_("stream " + spec_.stream + " lost its end" + (evidence.empty() ? "" : " (" + evidence + ")") +
          "; consumer " + durable_ + " begins again from " + from);
  return replace(std::move(config));
}

ConsumerCheck::Outcome ConsumerCheck::on_written(const ApiAnswer& answer) {
  if (answer.error)
    return Failed{Condition::missing,
                  "consumer " + durable_ + " of stream " + spec_.stream +
                      " cannot be made as the lane wants it: " + answer.error->description +
                      "; change the lane, or delete the consumer and restart"};
  if (std::exchange(rewinding_, false)) {
    // What was not acked before the loss lies perhaps earlier than what came after it.
    std::uint64_t start = number_at(answer.body, "/delivered/stream_seq") + 1;
    settled_ = std::min(rewind_settled_, start - 1);
    if (settled_ + 1 < start && !work_queue_) return replace(config_from(settled_ + 1));
    seen_.reset();
  }
  passed_ = true;
  return Ready{answer.body};
}

json ConsumerCheck::config_from(std::uint64_t sequence) const {
  json config = consumer_config(spec_, durable_);
  if (sequence > 1 && !work_queue_) {
    config["deliver_policy"] = "by_start_sequence";
    config["opt_start_seq"] = sequence;
  }
  return config;
}

}  // namespace cutover
