#include "runtime/cli/dlq_plan_text.h"

#include <fmt/format.h>

#include "runtime/cli/dlq.h"

namespace cutover::cli {
namespace {

std::string areas_of(const Json& plan) {
  std::string all;
  for (const auto& area : plan["areas"]) all += (all.empty() ? "" : " and ") + area.get<std::string>();
  return all;
}

}  // namespace

std::string outcome_words(const Json& outcomes) {
  constexpr std::pair<const char*, const char*> kNames[] = {{"replayed", "replayed"},
                                                            {"already applied", "already applied"},
                                                            {"not addressed", "not addressed any more"},
                                                            {"failed again", "failed again"},
                                                            {"handed over", "handed over"},
                                                            {"seized", "seized by a reverse"},
                                                            {"changed", "skipped since they changed"},
                                                            {"in flight", "in flight"},
                                                            {"waiting", "waiting"}};
  std::string words;
  for (const auto& [name, text] : kNames)
    if (const auto found = outcomes.find(name); found != outcomes.end())
      words += fmt::format("{}{} {}", words.empty() ? "" : ", ", grouped(found->get<std::uint64_t>()), text);
  return words.empty() ? "-" : words;
}

std::string approval_words(const Json& plan) {
  if (!plan["approved_login"].is_null())
    return fmt::format("by {} (login {})", text_of(plan, "approved_by"), text_of(plan, "approved_login"));
  return plan["areas"].empty() ? "-" : "needed for " + areas_of(plan);
}

void print_plan(Output& out, const Json& plan, const Json& groups, const Json& progress) {
  const std::string number = plan["plan"].dump();
  out.line(fmt::format(
      "plan {}: {}, {}", number,
      out.paint(text_of(plan, "state"), plan["state"] == "stopped" ? Tone::bad : Tone::good),
      plan["to_owner"] == true ? "hands letters over to whoever owns new events now" : "replays letters"));
  std::string stopped = plan["stopped_because"].is_null() ? "" : text_of(plan, "stopped_because");
  const std::pair<const char*, std::string> facts[] = {
      {"letters", fmt::format("{}, sealed: what arrives later is not of it",
                              grouped(plan["letters"].get<std::uint64_t>()))},
      {"seal", text_of(plan, "hash")},
      {"by", fmt::format("{} (login {}), {}: {}", text_of(plan, "actor"), text_of(plan, "login"),
                         short_time(plan["sealed_at"]), text_of(plan, "reason"))},
      {"approval", approval_words(plan)},
      {"so far", outcome_words(progress["outcomes"])},
      {"stopped", stopped}};
  for (const auto& [name, value] : facts)
    if (!value.empty()) out.foreign_line(fmt::format("  {:<10}{}", name, value));
  out.line();
  print_groups(out, groups);
  out.line();
  if (plan["state"] == "done") return;
  if (!plan["areas"].empty() && plan["approved_login"].is_null())
    out.line(fmt::format("Next, by another operator: cutover dlq approve {} --reason TEXT", number));
  out.line(fmt::format("Next: cutover dlq replay --execute {} --reason TEXT", number));
}

}  // namespace cutover::cli
