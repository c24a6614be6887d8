#include <memory>

#include <fmt/format.h>

#include "runtime/cli/commands.h"
#include "runtime/cli/jetstream.h"
#include "runtime/cli/operator_name.h"
#include "runtime/cli/ownership.h"
#include "runtime/host/handover.h"
#include "runtime/nats/api.h"
#include "runtime/postgres/headers.h"

namespace cutover::cli {
namespace {

struct Options {
  std::string stream;
  ChangeOptions change;
};

Json report(const Options& options, const char* result, int before, int after, Instant created) {
  return {{"command", "incarnation start"},
          {"stream", options.stream},
          {"result", result},
          {"dry_run", options.change.dry_run},
          {"before", before},
          {"after", after},
          {"created_at", postgres::timestamp_text(created)},
          {"next", Json::array({"cutover doctor", "cutover status"})}};
}

int run_start(const Shell& shell, const Options& options) {
  check_change(options.change, "incarnation start");
  Interrupt interrupt;
  const Settings settings = shell.load_settings().values;
  const auto database = connect_database(settings, "incarnation");
  JetStream jetstream(settings);
  const auto info = jetstream.admin().stream(options.stream);
  if (!info)
    throw CommandError(fmt::format("there is no stream {} on {}. Do: cutover streams apply.", options.stream,
                                   jetstream.connection().server()));
  const auto created = parse_api_time(info->value("created", ""));
  const auto lives = postgres::read_lives(*database, {options.stream});
  const auto known = lives.find(options.stream);
  if (known == lives.end())
    throw CommandError(
        fmt::format("nobody has worked on stream {} yet: nothing has to be declared.", options.stream),
        kDifferent);
  const int before = known->second.incarnation;
  Output out = shell.output();
  const auto print = [&](const char* result, int after, const std::string& text) {
    if (out.json())
      out.document(report(options, result, before, after, created.value_or(Instant{})));
    else
      out.line(text);
    return kFine;
  };
  if (created && *created == known->second.created_at)
    return print("unchanged", before,
                 fmt::format("unchanged: {} is the stream that the ledger knows as incarnation {}",
                             options.stream, before));
  const std::string loss = fmt::format("what was in the old {} and is not settled is gone", options.stream);
  if (options.change.dry_run)
    return print("would do", before + 1,
                 fmt::format("would do: incarnation {} of {} begins, every worker keeps its stage; {}",
                             before + 1, options.stream, loss));
  postgres::LogLine log;
  log.actor = operator_name();
  log.command = "incarnation start";
  log.arguments = arguments_json(options.change, {{"stream", options.stream}});
  log.reason = options.change.reason;
  try {
    const int after =
        start_incarnation(*database, jetstream.connection(), options.stream, log, patience_of(options.change),
                          [&](std::chrono::milliseconds time) { return interrupt.wait(time); });
    return print(
        "done", after,
        fmt::format("done: incarnation {} of {}; {}. Processes that stopped have to be started again", after,
                    options.stream, loss));
  } catch (const postgres::LockBusy& busy) {
    throw CommandError(
        fmt::format("{}; nothing was changed. Do: wait for it, then run the command again.", busy.what()),
        kDifferent);
  } catch (const HandoverRefused& refused) {
    throw CommandError(fmt::format("{}. Nothing was changed.", refused.what()), kDifferent);
  }
}

}  // namespace

void add_incarnation(Shell& shell) {
  const auto options = std::make_shared<Options>();
  CLI::App* group = shell.add_group("incarnation", "Go on with a stream that was deleted and created anew",
                                    "cutover incarnation start CORE --dry-run");
  CLI::App* command = shell.add(
      *group, "start", "Accept the stream as it is now; every worker keeps its stage",
      "cutover incarnation start CORE --dry-run", [&shell, options] { return run_start(shell, *options); });
  command->add_option("stream", options->stream, "Its name")->required();
  command
      ->add_option("--reason", options->change.reason,
                   "Why; kept in the operators' log. Needed unless --dry-run")
      ->type_name("TEXT");
  command->add_flag("--dry-run", options->change.dry_run, "Print the same, change nothing");
  command->add_option("--lock-timeout", options->change.lock_limit, "Longest wait for the batches in flight")
      ->type_name("TIME")
      ->capture_default_str();
}

}  // namespace cutover::cli
