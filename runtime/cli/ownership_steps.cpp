#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include "runtime/cli/commands.h"
#include "runtime/cli/jetstream.h"
#include "runtime/cli/operator_name.h"
#include "runtime/cli/ownership.h"
#include "runtime/cli/ownership_facts.h"
#include "runtime/cli/ownership_seed.h"
#include "runtime/cli/progress_bar.h"
#include "runtime/host/backlog.h"
#include "runtime/host/connect_options.h"
#include "runtime/host/quantities.h"

namespace cutover::cli {
namespace {

using Result = StepReport::Result;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::chrono::minutes kReadLimit{5};  // of a backlog

struct StepOptions {
  Step step = Step::reverse;
  std::string worker;
  ChangeOptions change;
  std::string percent;       // canary
  bool seize = false;        // reverse
  std::string wait = "60s";  // shadow start: for the monolith
};

Mode target_of(Step step) {
  switch (step) {
    case Step::shadow_start:
      return Mode::shadow;
    case Step::canary:
      return Mode::canary;
    case Step::switch_over:
      return Mode::worker;
    case Step::shadow_stop:
    case Step::reverse:
    case Step::complete:
      break;
  }
  return Mode::monolith;
}

// One run of one command.
class Run {
 public:
  Run(const Shell& shell, const StepOptions& options, const std::vector<ShadowSeed>& seeds)
      : shell_(shell),
        options_(options),
        settings_(shell.load_settings().values),
        spec_(settings_.worker(options.worker)) {
    for (const ShadowSeed& seed : seeds)
      if (seed.worker == options.worker) seed_ = &seed;
    if (options.step == Step::canary) percent_ = percent();
    if (options.step == Step::shadow_start) wait_ = wait();
    if (options.step == Step::switch_over) percent_ = 0;
    report_.command = to_text(options.step);
    report_.worker = options.worker;
  }

  int run() {
    check_change(options_.change, report_.command);
    database_ = connect_database(settings_, report_.command);
    connect_broker();
    GuardFacts facts = read_facts(settings_, options_.worker, *database_, jetstream_.get());
    before_ = facts.standing;
    report_.before = report_.after = to_text(before_);
    if (is_there_already()) return finish(Result::unchanged);
    if (options_.step == Step::complete) facts.monolith_unsettled = monolith_unsettled();
    report_.guards = guards_of(options_.step, facts, limits_of(settings_));
    forced_ = force(report_.guards, options_.change.force);
    plan();
    if (const std::string names = stopping(report_.guards); !names.empty()) return refuse(names);
    if (options_.change.dry_run) {
      report_.after = target_text();
      return finish(Result::would_do);
    }
    return options_.step == Step::complete ? complete() : change();
  }

 private:
  int percent() const {
    const auto hundredths = parse_percent(options_.percent);
    if (!hundredths)
      throw CommandError(
          fmt::format("\"{}\" is not accepted (--percent). Do: give 0.01 to 100, with at most two decimals.",
                      options_.percent));
    return *hundredths;
  }
  milliseconds wait() const {
    const auto limit = parse_duration(options_.wait);
    if (!limit)
      throw CommandError(fmt::format(
          "\"{}\" is not accepted (--wait). Do: give a time with a unit of ms, s, m, h.", options_.wait));
    return *limit;
  }

  // Back to the monolith it goes without a broker, too.
  void connect_broker() {
    try {
      jetstream_ = std::make_unique<JetStream>(settings_);
      broker_ = &jetstream_->connection();
    } catch (const BrokerError& error) {
      if (options_.step != Step::reverse || options_.seize) throw;
      silent_ = std::make_unique<Connection>(nats_options(settings_, "cutover command line"));
      broker_ = silent_.get();
    }
  }

  bool is_there_already() {
    if (options_.step == Step::complete) return before_.stage == Stage::complete;
    if (before_.stage == Stage::complete || options_.seize || !before_.since) return false;
    if (before_.stage != stage_of(target_of(options_.step)) || before_.percent_hundredths != percent_)
      return false;
    return options_.step != Step::shadow_start || seeded();
  }

  bool seeded() {
    if (!seed_) return true;
    const auto rows = database_->run(
        "SELECT EXISTS (SELECT FROM cutover.operator_log WHERE worker = $1::text AND command = 'shadow seed' "
        "AND result = "
        "'done' AND (detail ->> 'epoch')::bigint >= $2::bigint)",
        {std::string_view(options_.worker), before_.epoch});
    return rows->boolean(0, 0);
  }

  std::uint64_t monolith_unsettled() {
    std::uint64_t count = 0;
    for (const Backlog& part :
         read_backlog(*database_, *broker_, spec_, Side::monolith, false, steady_clock::now() + kReadLimit))
      count += part.events.size();
    return count;
  }

  std::string target_text() const {
    if (options_.step == Step::complete) return "complete";
    Standing target;
    target.stage = stage_of(target_of(options_.step));
    target.percent_hundredths = percent_;
    return to_text(target);
  }

  bool needs_seeding() const { return options_.step == Step::shadow_start && seed_ != nullptr; }
  bool needs_flip() const { return options_.step != Step::shadow_start || before_.stage != Stage::shadow; }

  void plan() {
    auto& steps = report_.steps;
    std::string streams;
    for (const std::string& stream : streams_of(spec_)) streams += (streams.empty() ? "" : ", ") + stream;
    if (options_.seize) steps.push_back("read what waits for the worker in " + streams);
    if (needs_seeding() && needs_flip()) steps.push_back("empty the shadow tables");
    if (needs_flip())
      steps.push_back(fmt::format("wait out the batches in flight, at most {}, and lock the worker",
                                  options_.change.lock_limit));
    if (options_.step == Step::complete) {
      steps.push_back("note that there is no way back");
    } else if (needs_flip()) {
      steps.push_back(
          fmt::format("ask the broker how long {} are, and give what comes after that to stage {}", streams,
                      target_text()));
    }
    if (options_.seize)
      steps.push_back("settle what waits as seized, and put a copy of each event into the outbox");
    if (needs_flip()) steps.push_back("write the operators' log and commit");
    if (needs_seeding())
      steps.push_back(fmt::format(
          "wait up to {} until the monolith has settled what came before, then copy serving into shadow",
          options_.wait));
  }

  postgres::LogLine log_line() const {
    Json more = Json::object();
    if (options_.step == Step::canary) more["percent"] = percent_text(percent_);
    if (options_.step == Step::reverse) more["seize"] = options_.seize;
    postgres::LogLine line;
    line.actor = operator_name();
    line.command = report_.command;
    line.worker = options_.worker;
    line.arguments = arguments_json(options_.change, more);
    line.reason = options_.change.reason;
    line.forced = forced_;
    return line;
  }

  int refuse(const std::string& names) {
    if (!options_.change.dry_run) {
      postgres::LogLine line = log_line();
      line.result = "refused";
      line.detail = Json{{"guards", names}}.dump();
      postgres::log_operation(*database_, line);
    }
    report_.next = {fmt::format("cutover status {}", options_.worker)};
    print_report(Result::refused);
    throw CommandError(
        fmt::format("{} of {} is refused by {}; nothing was changed. Do: see above what each asks for.",
                    report_.command, options_.worker, names),
        kDifferent);
  }

  int change() {
    if (needs_flip()) flip();
    report_.after = target_text();
    if (needs_seeding() && !seed()) return finish(Result::incomplete);
    return finish(Result::done);
  }

  void flip() {
    Handover h;
    h.worker = options_.worker;
    h.streams = streams_of(spec_);
    h.mode = target_of(options_.step);
    h.percent_hundredths = percent_;
    h.log = log_line();
    h.patience = patience_of(options_.change);
    h.terminate_blockers = options_.change.terminate_blockers;
    std::vector<Backlog> backlog;
    Seized seized;
    AlsoInTransaction also;
    if (options_.seize) {
      backlog = read_waiting();
      also = [&](postgres::Connection& database,
                 const auto& segments) -> std::map<std::string, std::uint64_t> {
        top_up(database, *broker_, spec_, backlog, steady_clock::now() + std::chrono::seconds(10));
        seized = seize(database, options_.worker, segments.front().epoch, backlog);
        // The worker need not come back to say that nothing is left below: what waits for an earlier version can be judged.
        for (const auto& s : segments)
          database.run("SELECT cutover.note_settled_below($1::text, 'worker', $2::text, $3::bigint::integer, $4::bigint)",
                       {std::string_view(options_.worker), std::string_view(s.stream), std::int64_t{s.incarnation},
                        static_cast<std::int64_t>(s.from_sequence)});
        return {{"seized", seized.events}, {"seized_replays", seized.replays}};
      };
    }
    if (needs_seeding()) clear_shadow(settings_, *seed_);
    HandedOver result;
    try {
      result = hand_over(
          *database_, *broker_, h, [this](milliseconds time) { return interrupt_.wait(time); }, also);
    } catch (const postgres::LockBusy& busy) {
      throw CommandError(
          fmt::format("{}; {}. Do: wait for it, or run the same command with --terminate-blockers.", busy.what(),
                      unchanged()),
          kDifferent);
    } catch (const HandoverRefused& refused) {
      throw CommandError(fmt::format("{} ({})", refused.what(), unchanged()), kDifferent);
    } catch (const ClaimRefused& refused) {
      throw CommandError(fmt::format("{}; {}.", refused.what(), unchanged()), kDifferent);
    }
    report_.segments = result.segments;
    report_.warnings = result.warnings;
    report_.held_milliseconds = static_cast<double>(result.held.count()) / 1'000;
    for (const auto& blocker : result.terminated) report_.terminated.push_back(postgres::to_text(blocker));
    if (options_.seize) report_.more = {{"seized", seized.events}, {"seized_replays", seized.replays}};
  }

  // After a flip that failed.
  std::string unchanged() const {
    return needs_seeding() ? "nothing was changed, but the shadow tables are empty now" : "nothing was changed";
  }

  std::vector<Backlog> read_waiting() {
    ProgressBar bar;
    return read_backlog(*database_, *broker_, spec_, Side::worker, true, steady_clock::now() + kReadLimit,
                        [&](std::uint64_t count) {
                          if (interrupt_.came())
                            throw CommandError("interrupted; nothing was changed.", kInconclusive);
                          bar.show("reading", static_cast<std::int64_t>(count), 0);
                        });
  }

  bool seed() {
    Boundary boundary;
    std::int64_t epoch = 0;
    for (const auto& row : postgres::read_segments(*database_, options_.worker)) {
      epoch = std::max(epoch, row.segment.epoch);
      if (row.segment.mode == Mode::shadow)
        boundary[row.stream] = std::max<std::uint64_t>(row.segment.from_sequence, 1) - 1;
    }
    const Seeding seeding =
        seed_shadow(settings_, *seed_, boundary, *database_, *jetstream_, interrupt_, wait_);
    report_.more = {{"seeded", seeding.complete}, {"copied", seeding.copied}, {"swept", seeding.swept}};
    if (!seeding.complete) {
      report_.warnings.push_back(seeding.unsettled > 0
                                     ? fmt::format("the worker is in shadow, but its tables are not seeded: "
                                                   "the monolith has not settled {} within {}",
                                                   counted(seeding.unsettled, "event"), options_.wait)
                                     : "the worker is in shadow, but its tables are not seeded: interrupted");
      return false;
    }
    postgres::LogLine line = log_line();
    line.command = "shadow seed";
    line.result = "done";
    line.detail = Json{{"epoch", epoch}, {"copied", seeding.copied}, {"swept", seeding.swept}}.dump();
    postgres::log_operation(*database_, line);
    return true;
  }

  int complete() {
    try {
      postgres::begin_exclusive(*database_, options_.worker, patience_of(options_.change),
                                [this](milliseconds time) { return interrupt_.wait(time); });
    } catch (const postgres::LockBusy& busy) {
      throw CommandError(fmt::format("{}; nothing was changed. Do: run it again.", busy.what()), kDifferent);
    }
    try {
      postgres::LogLine line = log_line();
      line.result = "done";
      line.detail = Json{{"epoch", before_.epoch}}.dump();
      postgres::log_operation(*database_, line);
      database_->run("COMMIT");
    } catch (...) {
      database_->rollback();
      throw;
    }
    report_.after = "complete";
    return finish(Result::done);
  }

  std::vector<std::string> next() const {
    const std::string& w = options_.worker;
    const auto reason = [](const std::string& command) { return command + " --reason TEXT"; };
    if (report_.result == Result::incomplete)
      return {reason("cutover shadow " + w + " start"), "cutover status " + w};
    if (report_.result == Result::would_do) return {reason(again())};
    switch (options_.step) {
      case Step::shadow_start:
        return {"cutover status " + w + " --watch", reason("cutover canary " + w + " --percent 10"),
                reason("cutover shadow " + w + " stop")};
      case Step::canary:
        return {"cutover status " + w + " --watch", reason("cutover switch " + w),
                reason("cutover reverse " + w)};
      case Step::switch_over:
        return {"cutover watch " + w, reason("cutover reverse " + w), reason("cutover complete " + w)};
      case Step::reverse:
        if (!options_.seize && before_.stage != Stage::monolith)
          return {"cutover status " + w + " --watch", reason("cutover reverse " + w + " --seize")};
        [[fallthrough]];
      case Step::shadow_stop:
        return {"cutover status " + w, reason("cutover shadow " + w + " start")};
      case Step::complete:
        break;
    }
    return {"cutover history " + w};
  }

  std::string again() const {
    std::string command;
    switch (options_.step) {
      case Step::shadow_start:
        command = "cutover shadow " + options_.worker + " start";
        break;
      case Step::shadow_stop:
        command = "cutover shadow " + options_.worker + " stop";
        break;
      case Step::canary:
        command = fmt::format("cutover canary {} --percent {}", options_.worker, options_.percent);
        break;
      default:
        command = fmt::format("cutover {} {}", report_.command, options_.worker);
    }
    if (options_.seize) command += " --seize";
    for (const std::string& guard : forced_) command += " --force " + guard;
    return command;
  }

  void print_report(Result result) {
    report_.result = result;
    if (report_.next.empty()) report_.next = next();
    Output out = shell_.output();
    print(out, report_);
  }

  int finish(Result result) {
    print_report(result);
    return result == Result::incomplete ? kInconclusive : kFine;
  }

  Interrupt interrupt_;  // first: threads begin later
  const Shell& shell_;
  const StepOptions& options_;
  const Settings settings_;
  const WorkerSpec& spec_;
  const ShadowSeed* seed_ = nullptr;
  int percent_ = 0;
  milliseconds wait_{0};
  Standing before_;
  std::vector<std::string> forced_;
  StepReport report_;
  std::unique_ptr<postgres::Connection> database_;
  std::unique_ptr<JetStream> jetstream_;  // null: the broker is away
  std::unique_ptr<Connection> silent_;
  Connection* broker_ = nullptr;
};

CLI::App* add_step(Shell& shell, const std::vector<ShadowSeed>& seeds, Step step, const std::string& name,
                   const std::string& description, const std::string& example,
                   const std::shared_ptr<StepOptions>& options) {
  options->step = step;
  CLI::App* command = shell.add(shell.app(), name, description, example,
                                [&shell, &seeds, options] { return Run(shell, *options, seeds).run(); });
  std::vector<std::string> names;
  for (const WorkerSpec& worker : shell.workers()) names.push_back(worker.name);
  command->add_option("worker", options->worker, "Its name")->required()->check(CLI::IsMember(names));
  add_change_options(command, options->change);
  return command;
}

}  // namespace

void add_ownership_steps(Shell& shell, const std::vector<ShadowSeed>& seeds) {
  const auto options = [] { return std::make_shared<StepOptions>(); };

  const auto shadow = options();
  CLI::App* command = add_step(
      shell, seeds, Step::shadow_start, "shadow",
      "Let a worker compute beside the monolith, into tables of its own that begin with what serving holds",
      "cutover shadow search-projector start --dry-run", shadow);
  command
      ->add_option_function<std::string>(
          "action",
          [shadow](const std::string& action) {
            shadow->step = action == "start" ? Step::shadow_start : Step::shadow_stop;
          },
          "start, or stop: the monolith goes on as it did")
      ->required()
      ->check(CLI::IsMember({"start", "stop"}));
  command
      ->add_option("--wait", shadow->wait,
                   "start: how long to wait until the monolith has settled what came before")
      ->type_name("TIME")
      ->capture_default_str();

  const auto canary = options();
  add_step(shell, seeds, Step::canary, "canary", "Give a worker the events of a share of the keys",
           "cutover canary search-projector --percent 10 --dry-run", canary)
      ->add_option("--percent", canary->percent, "Share of the keys: 0.01 to 100, two decimals")
      ->type_name("P")
      ->required();

  add_step(shell, seeds, Step::switch_over, "switch", "Give a worker all events",
           "cutover switch search-projector --dry-run", options());

  const auto back = options();
  add_step(shell, seeds, Step::reverse, "reverse",
           "Give a worker's events back to the monolith; works without the worker and without the broker",
           "cutover reverse search-projector --seize --dry-run", back)
      ->add_flag("--seize", back->seize,
                 "Also what waits for the worker already, with copies for the monolith");

  add_step(shell, seeds, Step::complete, "complete", "End the dual set-up after the soak; no way back",
           "cutover complete search-projector --dry-run", options());
}

}  // namespace cutover::cli
