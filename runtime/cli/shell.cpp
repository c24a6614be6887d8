#include "runtime/cli/shell.h"

#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include <fmt/format.h>

#include "runtime/engine/ports.h"

namespace cutover::cli {
namespace {

int report(const std::exception& error, int exit_code) {
  std::string_view rest = error.what();
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    std::cerr << "error: " << rest.substr(0, end) << "\n";
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return exit_code;
}

int report_unreachable(const std::exception& error) {
  std::cerr << "error: " << error.what() << (std::string_view(error.what()).ends_with(".") ? "" : ".")
            << " Do: check that the server runs and the settings name it; `cutover doctor` says more.\n";
  return kError;
}

// The command whose help explains a mistake in the arguments.
std::string deepest_command(const CLI::App& app) {
  std::string name = app.get_name();
  for (const CLI::App* sub : app.get_subcommands()) return name + " " + deepest_command(*sub);
  return name;
}

}  // namespace

Shell::Shell(std::vector<WorkerSpec> workers, std::function<void(const Settings&)> loaded)
    : workers_(std::move(workers)),
      loaded_(std::move(loaded)),
      app_("Event workers beside a running monolith, on NATS JetStream and PostgreSQL.", "cutover") {
  app_.require_subcommand(1);
  app_.get_formatter()->column_width(34);
  app_.footer(
      "Settings come from defaults, --config, CUTOVER_* variables and flags; later ones win.\n"
      "Exit codes: 0 fine, 1 refused or different, 2 inconclusive, 3 error.\n\n"
      "Example:\n  cutover doctor");
  add_shared_options(app_);
}

void Shell::add_shared_options(CLI::App& command) {
  command.add_option("--config", config_, "Settings file (TOML); also in CUTOVER_CONFIG")
      ->type_name("FILE")
      ->group("Settings");
  // Collected, not assigned: the program and its command both have the option.
  command
      .add_option_function<std::vector<std::string>>(
          "--set", [this](const auto& values) { sets_.insert(sets_.end(), values.begin(), values.end()); },
          "One setting; may be given again. `cutover config --keys` lists all")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->take_all()
      ->group("Settings");
  command.add_option("--nats", nats_, "The same as --set nats.servers=URL")
      ->type_name("URL")
      ->group("Settings");
  command.add_option("--postgres", postgres_, "The same as --set postgres.url=URL")
      ->type_name("URL")
      ->group("Settings");
  command.add_option("--log-level", log_level_, "The same as --set log.level=LEVEL")
      ->type_name("LEVEL")
      ->group("Settings");
  command.add_flag("--json", json_, "Print one JSON document instead of text")->group("Settings");
}

CLI::App* Shell::add(CLI::App& parent, const std::string& name, const std::string& description,
                     const std::string& example, std::function<int()> action) {
  CLI::App* command = parent.add_subcommand(name, description);
  command->footer("Example:\n  " + example);
  commands_.push_back(command);
  command->callback([this, action = std::move(action)] { chosen_ = action; });
  return command;
}

CLI::App* Shell::add_group(const std::string& name, const std::string& description,
                           const std::string& example) {
  CLI::App* group = app_.add_subcommand(name, description);
  group->require_subcommand(1);
  group->footer("Example:\n  " + example);
  return group;
}

LoadedSettings Shell::load_settings() const {
  SettingSources sources;
  sources.file = config_;
  if (const char* variable = std::getenv("CUTOVER_CONFIG"); variable != nullptr && config_.empty())
    sources.file = variable;
  sources.environment = process_environment();
  for (const std::string& set : sets_) {
    const auto equals = set.find('=');
    if (equals == std::string::npos || equals == 0)
      throw SettingsError(
          fmt::format("\"{}\" is not KEY=VALUE (--set). Do: write --set run.batch_max=256.", set));
    sources.flags.push_back({set.substr(0, equals), set.substr(equals + 1), "--set"});
  }
  if (!nats_.empty()) sources.flags.push_back({"nats.servers", nats_, "--nats"});
  if (!postgres_.empty()) sources.flags.push_back({"postgres.url", postgres_, "--postgres"});
  if (!log_level_.empty()) sources.flags.push_back({"log.level", log_level_, "--log-level"});
  LoadedSettings settings = cutover::load_settings(sources, workers_);
  loaded_(settings.values);
  return settings;
}

Output Shell::output() const {
  return Output(std::cout, json_, !json_ && wants_color(STDOUT_FILENO));
}

int Shell::main(int argc, const char* const* argv) {
  try {
    for (CLI::App* command : commands_) add_shared_options(*command);  // behind its own: help shows them last
    app_.parse(argc, argv);
    return chosen_();
  } catch (const CLI::Success& asked) {  // --help
    return app_.exit(asked) == 0 ? kFine : kError;
  } catch (const CLI::ParseError& error) {
    if (const auto rest = app_.remaining();
        app_.get_subcommands().empty() && !rest.empty() && !rest[0].starts_with('-')) {
      std::cerr << "error: there is no command " << rest[0] << ". Do: see `cutover --help`.\n";
      return kError;
    }
    std::cerr << "error: " << error.what() << ". Do: see `" << deepest_command(app_) << " --help`.\n";
    return kError;
  } catch (const CommandError& error) {
    return report(error, error.exit_code);
  } catch (const BrokerError& error) {
    return report_unreachable(error);
  } catch (const DependencyDown& error) {
    return report_unreachable(error);
  } catch (const std::exception& error) {
    return report(error, kError);
  }
}

}  // namespace cutover::cli
