#include <iostream>
#include <memory>

#include <fmt/format.h>

#include "runtime/cli/commands.h"
#include "runtime/cli/operator_name.h"
#include "runtime/cli/ownership.h"
#include "runtime/host/connect_options.h"
#include "runtime/host/quantities.h"
#include "runtime/host/watch.h"

namespace cutover::cli {
namespace {

struct Options {
  std::string worker;
  std::string every = "60s";
  bool once = false;
};

constexpr const char* kStates[] = {"ok", "over", "unknown"};
constexpr Tone kTones[] = {Tone::good, Tone::bad, Tone::warn};

void show(Output& out, const std::string& worker, const Watch::Look& look) {
  if (out.json()) {
    Json findings = Json::array();
    for (const Finding& f : look.findings)
      findings.push_back(
          {{"name", f.name}, {"state", kStates[static_cast<int>(f.state)]}, {"found", f.text}});
    Json next = Json::array();
    if (!look.over.empty() && !look.reversed) next.push_back(reverse_command(worker, look.over));
    out.document({{"worker", worker},
                  {"stage", to_text(look.standing)},
                  {"watching", look.watching},
                  {"over", look.over},
                  {"reversed", look.reversed},
                  {"findings", findings},
                  {"next", next}});
    return;
  }
  if (!look.watching) {
    out.line(fmt::format("{} is at stage {}: there is nothing to watch.", worker, to_text(look.standing)));
    return;
  }
  std::vector<std::vector<Cell>> rows;
  for (const Finding& f : look.findings)
    rows.push_back(
        {Cell(kStates[static_cast<int>(f.state)], kTones[static_cast<int>(f.state)]), f.name, f.text});
  out.table({"", "sign", "found"}, rows);
  if (look.reversed)
    out.line(out.paint("reversed: ", Tone::bad) + look.over);
  else if (!look.over.empty())
    out.line("Do: " + reverse_command(worker, look.over));
}

int code_of(const Watch::Look& look) {
  if (!look.over.empty()) return kDifferent;
  for (const Finding& f : look.findings)
    if (f.state == Finding::State::ok) return kFine;
  return look.watching ? kInconclusive : kFine;
}

int run_watch(const Shell& shell, const Options& options) {
  const auto every = parse_duration(options.every);
  if (!every || *every < std::chrono::milliseconds(100))
    throw CommandError(
        fmt::format("\"{}\" is not accepted (--every). Do: give 100ms or more, with a unit.", options.every));
  Interrupt interrupt;
  const Settings settings = shell.load_settings().values;
  const auto database = connect_database(settings, "watch");
  Connection broker(nats_options(settings, "cutover watch"));
  broker.wait_connected(std::chrono::steady_clock::now() + settings.nats.timeout);
  Watch watch(settings, settings.worker(options.worker), *database, broker, operator_name());
  Output out = shell.output();
  for (;;) {
    Watch::Look look;
    try {
      look = watch.look([&](std::chrono::milliseconds time) { return interrupt.wait(time); });
      show(out, options.worker, look);
    } catch (const std::exception&
                 error) {  // a server that is away for a moment does not end a watch of three days
      if (options.once) throw;
      std::cerr << "error: " << error.what() << ". Do: see `cutover doctor`.\n";
      look.watching = true;
    }
    if (options.once || !look.watching || look.reversed || !interrupt.wait(*every)) return code_of(look);
  }
}

}  // namespace

void add_watch(Shell& shell) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = shell.add(
      shell.app(), "watch",
      "Watch a worker after its switch, for ownership.stable: exit 1 when something is over its limit",
      "cutover watch search-projector --once", [&shell, options] { return run_watch(shell, *options); });
  std::vector<std::string> names;
  for (const WorkerSpec& spec : shell.workers()) names.push_back(spec.name);
  command->add_option("worker", options->worker, "Its name")->required()->check(CLI::IsMember(names));
  command->add_option("--every", options->every, "How often to look")
      ->type_name("TIME")
      ->capture_default_str();
  command->add_flag("--once", options->once, "Look once; never reverses");
}

}  // namespace cutover::cli
