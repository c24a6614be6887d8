#pragma once

#include <functional>
#include <optional>
#include <string>
#include <variant>

#include "runtime/engine/ports.h"
#include "runtime/nats/api.h"

namespace cutover {

// Makes sure that a lane's stream is the one it was, that its consumer is there as the lane wants it, and
// that the consumer is not ahead of its stream: a few questions of the API, one after the other. Not thread
// safe.
//
// Ahead: a server that loses power loses what it had acked but not synced, while the consumer keeps its
// place. Messages that then take the lost sequences are never delivered (nats-server 2.9 does not notice). So
// the consumer is replaced by one that begins at what came after the last message known to be intact.
class ConsumerCheck {
 public:
  struct Asked {};  // the next question is on its way
  struct Ready {
    nlohmann::json info;  // of the consumer
  };
  struct Failed {
    LaneState::Condition condition;
    std::string detail;
  };
  struct Recreated {
    Instant before, now;  // creation times of the stream
  };
  using Outcome = std::variant<Asked, Ready, Failed, Recreated>;

  using Ask = std::function<void(const std::string& subject, const std::string& body)>;
  // A sentence for an operator about what was repaired.
  using Notice = std::function<void(const std::string&)>;

  // `stream_created`: what it must be; without, the first one seen is believed.
  ConsumerCheck(LaneSpec spec, std::string durable, std::optional<Instant> stream_created, Ask ask,
                Notice notice);

  // From the first question on; also while another check is under way.
  void begin();
  // The answer to the last question.
  Outcome on_answer(const ApiAnswer& answer);

  // A message was delivered: what the stream must still hold when it is checked again.
  void saw(std::uint64_t sequence, Instant published_at);
  // Everything up to here was acked: where a consumer that was deleted goes on.
  void settled_through(std::uint64_t sequence);

 private:
  enum class Step { stream, last_seen, consumer, stream_again, removal, write };
  struct Seen {
    std::uint64_t sequence = 0;
    Instant published_at;
  };

  void ask(Step step, const std::string& subject, const nlohmann::json& body);
  Outcome ask_stream(Step step);
  Outcome ask_consumer();
  Outcome write(const nlohmann::json& config);
  Outcome replace(nlohmann::json config);
  Outcome on_stream(const nlohmann::json& info);
  Outcome on_last_seen(const ApiAnswer& answer);
  Outcome on_consumer(const nlohmann::json& info);
  Outcome on_written(const ApiAnswer& answer);
  Outcome rewind(const std::string& evidence);
  Outcome adapt();
  nlohmann::json config_from(std::uint64_t sequence) const;

  const LaneSpec spec_;
  const std::string durable_;
  const Ask ask_;
  const Notice notice_;

  Step step_ = Step::stream;
  std::optional<Instant> stream_created_;
  std::uint64_t stream_last_ = 0;
  bool work_queue_ = false;   // holds only what is not acked, and is always delivered from its beginning
  std::optional<Seen> seen_;  // the highest sequence that was delivered
  std::optional<Seen>
      checked_;  // the same when the check began: the stream was asked later, so it must know it
  bool checked_is_gone_ = false;
  bool passed_ = false;               // a check ended well before
  nlohmann::json consumer_;           // its info
  std::uint64_t settled_ = 0;         // everything up to this sequence was acked
  nlohmann::json replacement_;        // configuration to write after the removal
  bool rewinding_ = false;            // the consumer is being replaced because it was ahead
  std::uint64_t rewind_settled_ = 0;  // where the replaced one had got to
};

}  // namespace cutover
