#include <fmt/format.h>

#include "runtime/cli/dlq.h"
#include "runtime/cli/dlq_execute.h"
#include "runtime/cli/dlq_plan_text.h"
#include "runtime/cli/operator_name.h"
#include "runtime/host/quantities.h"
#include "runtime/postgres/dead_letters.h"

namespace cutover::cli {
namespace {

struct Options {
  LetterFilter filter;
  LetterChange change;
  std::uint64_t limit = 0;
  std::int64_t execute = 0;
  bool plan = false, to_owner = false;
  std::uint64_t rate = 0;
  double max_failing = 10, max_latency_growth = 100;
  std::string patience = "2m";
};

int seal(const Shell& shell, const Options& options) {
  check_reason(options.change, "replay --plan");
  Json filter = filter_document(options.filter);
  filter.erase("state");
  if (filter.empty() && !options.filter.all)
    throw CommandError(
        "nothing says which letters to replay. Do: add --group GROUP or another filter, or --all.");
  const auto session = open_session(shell, "dlq replay");
  postgres::ReplayPlans plans(*session);
  Output out = shell.output();
  if (options.change.dry_run) {
    Json open = filter;
    open["state"] = "open";
    postgres::DeadLetters letters(*session);
    const std::uint64_t found = letters.count(open);
    const std::uint64_t wanted = options.limit == 0 ? found : std::min(options.limit, found);
    const Json groups = letters.groups(open, 1'000);
    const auto areas = plans.areas(open);
    if (out.json()) {
      out.document({{"dry_run", true},
                    {"matching", found},
                    {"letters", wanted},
                    {"areas", areas},
                    {"groups", groups}});
    } else if (found == 0) {
      out.line("No open dead letter matches.");
    } else {
      print_groups(out, groups);
      out.line();
      out.line(fmt::format("A dry run: a plan would seal {}{}{}.",
                           wanted < found ? "the oldest " + grouped(wanted) + " of " : "",
                           counted(found, "letter"),
                           areas.empty() ? "" : ", and another operator would have to approve it"));
    }
    return found == 0 ? kDifferent : kFine;
  }
  std::int64_t number = 0;
  with_refusals([&] {
    number = plans.seal(filter, options.limit == 0 ? std::nullopt : std::optional(options.limit),
                        options.to_owner, operator_name(), options.change.reason);
  });
  Json plan = plans.plan(number);
  const Json groups = plans.groups(number), progress = plans.progress(number);
  if (out.json()) {
    plan["groups"] = groups;
    plan["next"] = fmt::format("cutover dlq replay --execute {} --reason TEXT", number);
    out.document(plan);
  } else {
    print_plan(out, plan, groups, progress);
  }
  return kFine;
}

void print_end(Output& out, const Executed& done) {
  const Json& p = done.progress;
  const std::string number = p["plan"].dump();
  const bool stopped = done.end != Executed::End::done;
  out.line(fmt::format("plan {} is {}: {} of {}: {}", number,
                       out.paint(text_of(p, "state"), stopped ? Tone::bad : Tone::good),
                       grouped(p["taken"].get<std::uint64_t>()),
                       counted(p["letters"].get<std::uint64_t>(), "letter"), outcome_words(p["outcomes"])));
  if (stopped) out.line(fmt::format("{} {}", out.paint("stopped:", Tone::bad), done.because));
  for (const Json& g : p["failing"])
    out.foreign_line(fmt::format("  group {} ({}, {}, {}) failed again {}: {}", text_of(g, "group"),
                                 text_of(g, "worker"), text_of(g, "lane"), text_of(g, "kind"),
                                 counted(g["count"].get<std::uint64_t>(), "time"),
                                 shortened(text_of(g, "error"), 100)));
  if (!stopped) {
    if (p["outcomes"].contains("failed again"))
      out.line(
          fmt::format("Next: cutover dlq ls --plan {}; what failed again is open, for another plan", number));
  } else if (p["failing"].empty()) {
    out.line(
        fmt::format("Next: cutover dlq replay --execute {} --reason TEXT goes on with the rest", number));
  } else {
    out.line(
        fmt::format("Next: cutover dlq ls --group {}; deploy the fix, then cutover dlq replay --execute {} "
                    "--reason TEXT goes on with the rest",
                    text_of(p["failing"][0], "group"), number));
  }
}

int execute(const Shell& shell, const Options& options) {
  check_reason(options.change, "replay --execute");
  Interrupt interrupt;
  const Settings settings = shell.load_settings().values;
  const auto patience = parse_duration(options.patience);
  if (!patience || *patience < std::chrono::seconds(1))
    throw CommandError(
        fmt::format("\"{}\" is not accepted (--patience). Do: give 1s or more, with a unit of s, m, h.",
                    options.patience));
  const auto session = open_session(shell, "dlq replay");
  postgres::ReplayPlans plans(*session);
  const Json plan = plans.plan(options.execute);
  if (plan.is_null())
    throw CommandError(
        fmt::format("there is no plan {}. Do: `cutover dlq plans` lists them.", options.execute), kDifferent);
  Output out = shell.output();
  ExecuteOptions how;
  how.plan = options.execute;
  how.limits.rate = options.rate == 0 ? settings.replay.rate : options.rate;
  how.limits.failing_percent_max = options.max_failing;
  how.limits.latency_growth_percent = options.max_latency_growth;
  how.patience = *patience;
  how.publish_again_after = settings.replay.timeout;
  how.actor = operator_name();
  how.reason = options.change.reason;
  if (options.change.dry_run) {
    const Json progress = plans.progress(options.execute);
    if (out.json()) {
      out.document({{"dry_run", true}, {"plan", plan}, {"progress", progress}});
    } else {
      print_plan(out, plan, plans.groups(options.execute), progress);
      out.line(
          fmt::format("A dry run: it would send 1, 10 and 100 letters, each step when the one before has "
                      "settled, then the rest at {} a second; "
                      "and stop when more than {:g} % fail again.",
                      how.limits.rate, how.limits.failing_percent_max));
    }
    return kFine;
  }
  Executed done;
  with_refusals([&] {
    done = execute_plan(plans, how, interrupt, [&](const std::string& step) {
      if (!out.json()) out.line(step);
    });
  });
  if (out.json()) {
    Json document = done.progress;
    const auto figure = [](const std::optional<double>& ms) { return ms ? Json(*ms) : Json(nullptr); };
    document["live_p99_ms"] = {{"before", figure(done.latency_before_ms)},
                               {"now", figure(done.latency_now_ms)}};
    out.document(document);
  } else {
    print_end(out, done);
  }
  if (done.end == Executed::End::silent || done.end == Executed::End::interrupted) return kInconclusive;
  return done.end == Executed::End::failing || done.progress["outcomes"].contains("failed again") ? kDifferent
                                                                                                  : kFine;
}

}  // namespace

void add_dlq_replay(Shell& shell, CLI::App& dlq) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = shell.add(
      dlq, "replay", "Send letters again: --plan seals which ones, --execute does exactly these",
      "cutover dlq replay --group 1a2b3c4d --plan --reason \"the fix is deployed\"", [&shell, options] {
        if (options->plan) return seal(shell, *options);
        if (options->execute != 0) return execute(shell, *options);
        throw CommandError(
            "a replay is a sealed plan: nothing is sent before it says what. Do: first --plan with a filter, "
            "then --execute PLAN.");
      });
  command->footer(
      "Nothing is sent before a plan says what. The second step, as often as it takes:\n"
      "  cutover dlq replay --execute 7 --reason \"the fix is deployed\"\n\n" +
      command->get_footer());
  CLI::Option* plan =
      command
          ->add_flag("--plan", options->plan, "Freeze which open letters match now, print them, send nothing")
          ->group("Step 1");
  command->add_option("--limit", options->limit, "Only the oldest so many")
      ->type_name("N")
      ->check(CLI::Range(1, 10'000'000))
      ->group("Step 1");
  command
      ->add_flag("--to-owner", options->to_owner,
                 "Hand them over as new events to whoever owns those now, instead of the side that failed")
      ->group("Step 1");
  command
      ->add_option("--execute", options->execute,
                   "Send this plan's letters: 1, 10, 100, then the rest at the rate; again after a stop")
      ->type_name("PLAN")
      ->excludes(plan)
      ->group("Step 2");
  command
      ->add_option("--rate", options->rate,
                   "Letters a second, replay.rate unless told; workers have their own cap")
      ->type_name("N")
      ->check(CLI::Range(1, 100'000))
      ->group("Step 2");
  command->add_option("--max-failing", options->max_failing, "Stop when more than this share fails again")
      ->type_name("PERCENT")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str()
      ->group("Step 2");
  command
      ->add_option("--max-latency-growth", options->max_latency_growth,
                   "Stop when the live lanes' slowest hundredth becomes so much slower")
      ->type_name("PERCENT")
      ->check(CLI::Range(1.0, 100'000.0))
      ->capture_default_str()
      ->group("Step 2");
  command->add_option("--patience", options->patience, "Stop when nothing settles for so long")
      ->type_name("TIME")
      ->capture_default_str()
      ->group("Step 2");
  add_filter_options(command, options->filter, false, true);
  add_letter_change(command, options->change);
}

}  // namespace cutover::cli
