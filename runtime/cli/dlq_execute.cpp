#include "runtime/cli/dlq_execute.h"

#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "runtime/cli/dlq_plan_text.h"
#include "runtime/cli/progress_bar.h"
#include "runtime/engine/rate_cap.h"

namespace cutover::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kLook{100}, kLookAtRest{500}, kLookMax{2'000}, kLatencyEvery{5'000},
    kPublishAgainEvery{30'000}, kAwaitAtStop{10'000};

std::uint64_t number(const Json& object, const char* name) {
  return object.value(name, std::uint64_t{0});
}

class Execution {
 public:
  Execution(postgres::ReplayPlans& plans, const ExecuteOptions& options, Interrupt& interrupt,
            const std::function<void(const std::string&)>& told)
      : plans_(plans),
        options_(options),
        interrupt_(interrupt),
        told_(told),
        cap_(static_cast<double>(options.limits.rate)) {}

  Executed run() {
    run_ = plans_.begin(options_.plan, options_.actor, options_.reason);
    executed_.latency_before_ms = plans_.live_latency_ms(options_.plan);
    look();
    told_outcomes_ = progress_["outcomes"];
    while (true) {
      const RedriveStep step = next_step(facts_, options_.limits);
      if (step.kind == RedriveStep::Kind::finished) return finish(Executed::End::done, "");
      if (step.kind == RedriveStep::Kind::stop) return finish(Executed::End::failing, step.because);
      if (interrupt_.came()) return finish(Executed::End::interrupted, "an operator interrupted it");
      if (step.kind == RedriveStep::Kind::send) send(step.count);
      if (steady_clock::now() - moved_ > options_.patience)
        return finish(
            Executed::End::silent,
            fmt::format(
                "nothing was settled for {} s: does a process read stream REPLAY for it, and a relay run?",
                std::chrono::duration_cast<std::chrono::seconds>(options_.patience).count()));
      interrupt_.wait(pause_);
      look();
    }
  }

 private:
  void send(std::uint64_t count) {
    // The first steps are small; the rest keeps to the rate.
    if (facts_.taken >= 111) count = std::min<std::uint64_t>(count, cap_.available(steady_clock::now()));
    if (count == 0) return;
    const std::uint64_t taken = plans_.send(options_.plan, run_, facts_.taken, count);
    if (facts_.taken >= 111) cap_.take(taken, steady_clock::now());
    facts_.taken += taken;
    moved_ = steady_clock::now();
  }

  void look() {
    const auto began = steady_clock::now();
    progress_ = plans_.progress(options_.plan);
    const auto took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - began);
    const Json& mine = progress_["this_run"];
    const std::uint64_t settled = number(mine, "settled");
    if (settled != facts_.settled) moved_ = steady_clock::now();
    facts_ = {number(mine, "taken"),
              number(mine, "in_flight"),
              settled,
              number(mine, "failed"),
              number(progress_["outcomes"], "waiting"),
              facts_.latency_before_ms,
              facts_.latency_now_ms};
    // A look at a large plan costs something, beside live traffic: a twentieth of the time at most.
    pause_ = std::clamp(20 * took, facts_.taken <= 111 ? kLook : kLookAtRest, kLookMax);
    const auto now = steady_clock::now();
    if (now - latency_read_ >= kLatencyEvery) {
      latency_read_ = now;
      executed_.latency_now_ms = plans_.live_latency_ms(options_.plan);
      if (!executed_.latency_before_ms) executed_.latency_before_ms = executed_.latency_now_ms;
      facts_.latency_before_ms = executed_.latency_before_ms;
      facts_.latency_now_ms = executed_.latency_now_ms;
    }
    if (now - published_again_ >= kPublishAgainEvery) {
      published_again_ = now;
      plans_.republish(options_.publish_again_after.count());
    }
    const auto letters = static_cast<std::int64_t>(number(progress_, "letters"));
    bar_.show(
        "letters",
        letters - static_cast<std::int64_t>(facts_.waiting + number(progress_["outcomes"], "in flight")),
        letters);
    tell_step();
  }

  // The outcomes of a step that is complete, as the difference to what was told before.
  void tell_step() {
    if (facts_.in_flight > 0 || facts_.taken == told_taken_ || facts_.taken > 111) return;
    Json outcomes = Json::object();
    for (const auto& [name, count] : progress_["outcomes"].items()) {
      const std::uint64_t before = number(told_outcomes_, name.c_str());
      if (name != "waiting" && count.get<std::uint64_t>() > before)
        outcomes[name] = count.get<std::uint64_t>() - before;
    }
    told_(fmt::format("first {}: {}", grouped(facts_.taken - told_taken_), outcome_words(outcomes)));
    told_taken_ = facts_.taken;
    told_outcomes_ = progress_["outcomes"];
  }

  Executed finish(Executed::End end, const std::string& because) {
    const auto until = steady_clock::now() + kAwaitAtStop;
    while (facts_.in_flight > 0 && steady_clock::now() < until) {
      std::this_thread::sleep_for(pause_);
      look();
    }
    plans_.end(options_.plan, run_, because, options_.actor, options_.reason);
    executed_.end = end;
    executed_.because = because;
    executed_.progress = plans_.progress(options_.plan);
    return executed_;
  }

  postgres::ReplayPlans& plans_;
  const ExecuteOptions& options_;
  Interrupt& interrupt_;
  const std::function<void(const std::string&)>& told_;
  RateCap cap_;
  ProgressBar bar_;
  std::int64_t run_ = 0;
  Json progress_, told_outcomes_;
  std::uint64_t told_taken_ = 0;
  RedriveFacts facts_;
  milliseconds pause_ = kLook;
  Executed executed_;
  steady_clock::time_point moved_ = steady_clock::now(), latency_read_ = moved_, published_again_ = moved_;
};

}  // namespace

Executed execute_plan(postgres::ReplayPlans& plans, const ExecuteOptions& options, Interrupt& interrupt,
                      const std::function<void(const std::string&)>& told) {
  return Execution(plans, options, interrupt, told).run();
}

}  // namespace cutover::cli
