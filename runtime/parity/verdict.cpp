#include "runtime/parity/verdict.h"

#include <algorithm>

#include <fmt/format.h>

namespace cutover::parity {
namespace {

using Reasons = std::vector<std::string>;

void say_empty(const OutputResult& result, const std::string& against, Reasons& reasons) {
  if (result.serving_rows == 0 && result.worker_rows == 0)
    reasons.push_back(fmt::format("{}: there is not one row on either side", result.output));
  else if (result.serving_rows == 0)
    reasons.push_back(fmt::format("{}: the monolith wrote none, serving is empty", result.output));
  else if (result.worker_rows == 0)
    reasons.push_back(fmt::format("{}: the worker wrote none, {} is empty", result.output, against));
}

void say_mismatches(const OutputResult& result, Reasons& reasons) {
  std::string found;
  for (std::size_t i = 0; i < kClasses; ++i) {
    const auto what = static_cast<Class>(i);
    if (is_mismatch(what) && result.counts[i] > 0)
      found += fmt::format("{}{} {}", found.empty() ? "" : ", ", result.counts[i], to_text(what));
  }
  if (!found.empty()) reasons.push_back(fmt::format("{}: {}", result.output, found));
  if (result.statistics) {
    const Bias bias = bias_of(*result.statistics);
    if (bias.fails)
      reasons.push_back(fmt::format(
          "{}: {} of the worker is biased by {:+.5f} (95 % interval {:+.5f} to {:+.5f})", result.output,
          result.statistics->field, result.statistics->mean_difference, bias.low, bias.high));
  }
  for (const IgnoreUse& use : result.ignores)
    if (std::string failure = failure_of(use, result.compared()); !failure.empty())
      reasons.push_back(failure);
}

void say_errors(const Counts& errors, Reasons& reasons) {
  for (const Class what : {Class::error_on_one_side, Class::errors_differ})
    if (count_of(errors, what) > 0)
      reasons.push_back(fmt::format("events: {} {}", count_of(errors, what), to_text(what)));
}

void say_few(const Summary& summary, const std::vector<Output>& outputs, const VerdictLimits& limits,
             bool partial, Reasons& reasons) {
  if (summary.samples() < limits.samples_min)
    reasons.push_back(fmt::format("too few samples: {} of {}", summary.samples(), limits.samples_min));
  for (std::size_t i = 0; i < summary.outputs.size() && !partial; ++i)
    for (const std::string& stratum : outputs[i].strata) {
      const auto found = summary.outputs[i].strata.find(stratum);
      const std::uint64_t samples = found == summary.outputs[i].strata.end() ? 0 : found->second;
      if (samples < limits.stratum_samples_min)
        reasons.push_back(fmt::format("{}: too few samples of {}: {} of {}", summary.outputs[i].output,
                                      stratum, samples, limits.stratum_samples_min));
    }
}

void say_restless(const OutputResult& result, const VerdictLimits& limits, Reasons& reasons) {
  const std::uint64_t transient = count_of(result.counts, Class::transient);
  if (static_cast<double>(transient) > limits.transient_max * static_cast<double>(result.compared()))
    reasons.push_back(
        fmt::format("{}: {} of {} rows differed at first and not when read again, more than {:g} of them",
                    result.output, transient, result.compared(), limits.transient_max));
}

}  // namespace

void judge(Summary& summary, const std::vector<Output>& outputs, const Circumstances& circumstances,
           const VerdictLimits& limits) {
  Reasons worthless = circumstances.obstacles, different, few;
  for (const OutputResult& result : summary.outputs) {
    // What a partial comparison asked for may well be nothing.
    if (!circumstances.partial) say_empty(result, summary.against, worthless);
    say_mismatches(result, different);
    say_restless(result, limits, few);
  }
  say_errors(summary.errors, different);
  say_few(summary, outputs, limits, circumstances.partial, few);
  summary.verdict = !worthless.empty()   ? Verdict::inconclusive
                    : !different.empty() ? Verdict::different
                    : !few.empty()       ? Verdict::inconclusive
                                         : Verdict::ok;
  summary.reasons = std::move(worthless);
  for (Reasons* more : {&different, &few})
    summary.reasons.insert(summary.reasons.end(), more->begin(), more->end());
}

std::string_view to_text(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::ok:
      return "ok";
    case Verdict::different:
      return "different";
    case Verdict::inconclusive:
      break;
  }
  return "inconclusive";
}

std::uint64_t OutputResult::compared() const {
  std::uint64_t all = 0;
  for (const std::uint64_t count : counts) all += count;
  return all - count_of(counts, Class::pending);
}

std::uint64_t Summary::samples() const {
  std::uint64_t all = 0;
  for (const OutputResult& output : outputs) all += output.compared();
  return all;
}

std::uint64_t Summary::mismatches() const {
  std::uint64_t all = 0;
  for (std::size_t i = 0; i < kClasses; ++i) {
    if (!is_mismatch(static_cast<Class>(i))) continue;
    all += errors[i];
    for (const OutputResult& output : outputs) all += output.counts[i];
  }
  return all;
}

}  // namespace cutover::parity
