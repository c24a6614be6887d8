#include <fmt/format.h>

#include "runtime/cli/dlq.h"
#include "runtime/cli/dlq_plan_text.h"
#include "runtime/cli/operator_name.h"
#include "runtime/postgres/replay_plans.h"

namespace cutover::cli {
namespace {

struct Options {
  std::int64_t plan = 0;
  std::uint64_t limit = 20;
  LetterChange change;
};

Json plan_or_refuse(postgres::ReplayPlans& plans, std::int64_t number) {
  Json plan = plans.plan(number);
  if (plan.is_null())
    throw CommandError(fmt::format("there is no plan {}. Do: `cutover dlq plans` lists them.", number),
                       kDifferent);
  return plan;
}

int run_plans(const Shell& shell, const Options& options) {
  const auto session = open_session(shell, "dlq plans");
  postgres::ReplayPlans plans(*session);
  Output out = shell.output();
  if (options.plan != 0) {
    Json plan = plan_or_refuse(plans, options.plan);
    plan.update({{"progress", plans.progress(options.plan)}, {"groups", plans.groups(options.plan)}});
    if (out.json())
      out.document(plan);
    else
      print_plan(out, plan, plan["groups"], plan["progress"]);
    return kFine;
  }
  const Json all = plans.plans(options.limit);
  if (out.json()) {
    out.document({{"plans", all}});
    return kFine;
  }
  if (all.empty()) {
    out.line("There is no plan. Next: cutover dlq replay --group GROUP --plan --reason TEXT");
    return kFine;
  }
  std::vector<std::vector<Cell>> rows;
  for (const Json& p : all)
    rows.push_back({p["plan"].dump(),
                    Cell(text_of(p, "state"), p["state"] == "stopped" ? Tone::bad : Tone::plain),
                    p["to_owner"] == true ? "to owner" : "replay", grouped(p["letters"].get<std::uint64_t>()),
                    outcome_words(p["outcomes"]), approval_words(p), short_time(p["sealed_at"]),
                    text_of(p, "actor"), text_of(p, "reason")});
  out.table({"plan", "state", "does", "letters", "so far", "approval", "sealed", "by", "reason"}, rows);
  return kFine;
}

int run_approve(const Shell& shell, const Options& options) {
  check_reason(options.change, "approve");
  const auto session = open_session(shell, "dlq approve");
  postgres::ReplayPlans plans(*session);
  Json plan = plan_or_refuse(plans, options.plan);
  if (!options.change.dry_run)
    with_refusals([&] { plans.approve(options.plan, operator_name(), options.change.reason); });
  plan = plans.plan(options.plan);
  Output out = shell.output();
  if (out.json()) {
    out.document(plan);
    return kFine;
  }
  print_plan(out, plan, plans.groups(options.plan), plans.progress(options.plan));
  if (options.change.dry_run) out.line("A dry run: nothing was approved.");
  return kFine;
}

}  // namespace

void add_dlq_plans(Shell& shell, CLI::App& dlq) {
  const auto shown = std::make_shared<Options>();
  CLI::App* command = shell.add(dlq, "plans", "Plans for replays, the newest first; or all about one",
                                "cutover dlq plans 7", [&shell, shown] { return run_plans(shell, *shown); });
  command->add_option("plan", shown->plan, "Only this one, with its groups")->type_name("PLAN");
  command->add_option("--limit", shown->limit, "Show so many")
      ->type_name("N")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();

  const auto approved = std::make_shared<Options>();
  command =
      shell.add(dlq, "approve",
                "Agree to somebody else's plan; needs another database login than the one that sealed it",
                "cutover dlq approve 7 --reason \"checked the three cases by hand\"",
                [&shell, approved] { return run_approve(shell, *approved); });
  command->add_option("plan", approved->plan, "Its number")->required()->type_name("PLAN");
  add_letter_change(command, approved->change);
}

}  // namespace cutover::cli
