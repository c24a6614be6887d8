#include <memory>

#include "runtime/cli/commands.h"
#include "runtime/host/build_info.h"
#include "runtime/host/host.h"

namespace cutover::cli {
namespace {

struct Options {
  std::vector<std::string> workers;
  bool no_relay = false;
};

int run(const Shell& shell, const std::vector<std::string>& workers, bool relay) {
  const Settings settings = shell.load_settings().values;
  HostOptions options;
  options.settings = settings;
  options.workers = workers;
  options.relay = relay && (workers.empty() || settings.run.in_process_relay);
  options.build = build_info();
  return run_host(options);
}

}  // namespace

void add_run(Shell& shell) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      shell.add(shell.app(), "run", "Run workers until SIGTERM, with the relay unless told otherwise",
                "cutover run search-projector --set worker.search-projector.concurrency=4",
                [&shell, options] { return run(shell, options->workers, !options->no_relay); });
  std::vector<std::string> names;
  for (const WorkerSpec& worker : shell.workers()) names.push_back(worker.name);
  command->add_option("worker", options->workers, "Their names")->required()->check(CLI::IsMember(names));
  command->add_flag("--no-relay", options->no_relay, "The same as --set run.in_process_relay=false");
}

void add_relay(Shell& shell) {
  shell.add(shell.app(), "relay", "Publish the outbox until SIGTERM",
            "cutover relay --set outbox.poll_interval=500ms", [&shell] { return run(shell, {}, true); });
}

}  // namespace cutover::cli
