#include "runtime/nats/answer_inbox.h"

#include <charconv>
#include <optional>
#include <string_view>

namespace cutover {
namespace {

struct Token {
  std::uint64_t round = 0;
  std::size_t n = 0;
};

std::optional<Token> parse_token(std::string_view text) {  // "<round>-<n>"
  Token token;
  const char* end = text.data() + text.size();
  auto round = std::from_chars(text.data(), end, token.round);
  if (round.ec != std::errc{} || round.ptr == end || *round.ptr != '-') return std::nullopt;
  auto n = std::from_chars(round.ptr + 1, end, token.n);
  if (n.ec != std::errc{} || n.ptr != end) return std::nullopt;
  return token;
}

}  // namespace

AnswerInbox::~AnswerInbox() {
  reset();
}

void AnswerInbox::reset() {
  if (subscription_) link_->retire(subscription_);
  subscription_ = nullptr;
}

bool AnswerInbox::begin() {
  ++round_;
  if (!connection_.connected()) return false;
  auto link = connection_.link();
  if (link != link_ || !subscription_) {
    reset();
    prefix_ = new_inbox() + ".";
    subscription_ = link->subscribe(prefix_ + "*");
    link_ = std::move(link);
  }
  epoch_ = connection_.epoch();
  return true;
}

bool AnswerInbox::intact() const {
  return connection_.connected() && connection_.epoch() == epoch_;
}

const std::string& AnswerInbox::subject(std::size_t n) {
  subject_ = prefix_;
  subject_ += std::to_string(round_);
  subject_ += '-';
  subject_ += std::to_string(n);
  return subject_;
}

AnswerInbox::Answer AnswerInbox::next(std::chrono::milliseconds wait, bool deliveries) {
  for (;;) {
    natsMsg* raw = nullptr;
    natsStatus status = natsSubscription_NextMsg(&raw, subscription_, wait.count());
    if (status != NATS_OK) return {.nobody = status == NATS_NO_RESPONDERS};
    Answer answer{.message = NatsMessage(raw)};
    std::string_view subject = natsMsg_GetSubject(raw);
    answer.delivered = !subject.starts_with(prefix_);
    if (answer.delivered && deliveries) return answer;
    if (answer.delivered) continue;
    auto token = parse_token(subject.substr(prefix_.size()));
    if (!token || token->round != round_) continue;
    answer.n = token->n;
    return answer;
  }
}

}  // namespace cutover
