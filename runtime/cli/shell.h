#pragma once

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "runtime/cli/output.h"
#include "runtime/host/settings.h"

namespace cutover::cli {

// Exit codes of every command.
inline constexpr int kFine = 0;
inline constexpr int kDifferent = 1;     // refused, or something differs or failed a check
inline constexpr int kInconclusive = 2;  // there was not enough to say
inline constexpr int kError = 3;

// A command that could not do its work. what() reads "what (where). Do: ...".
class CommandError : public std::runtime_error {
 public:
  explicit CommandError(const std::string& what, int code = kError)
      : std::runtime_error(what), exit_code(code) {}
  int exit_code;
};

// What the commands share: the options that each of them takes, the settings made from these, and the chosen
// action.
class Shell {
 public:
  // workers   all that there are
  // loaded    hears of the settings as soon as they are read, before a command uses them
  explicit Shell(
      std::vector<WorkerSpec> workers, std::function<void(const Settings&)> loaded = [](const Settings&) {});

  CLI::App& app() { return app_; }
  const std::vector<WorkerSpec>& workers() const { return workers_; }

  // Adds a command. Its help ends with the example.
  //   action   runs after parsing; returns the exit code
  CLI::App* add(CLI::App& parent, const std::string& name, const std::string& description,
                const std::string& example, std::function<int()> action);
  // Adds a command that only has commands of its own.
  CLI::App* add_group(const std::string& name, const std::string& description, const std::string& example);

  // Reads file, environment and flags. Throws SettingsError.
  LoadedSettings load_settings() const;
  Output output() const;
  bool json() const { return json_; }

  // Parses and runs; errors become one message on standard error and an exit code.
  int main(int argc, const char* const* argv);

 private:
  void add_shared_options(CLI::App& command);

  std::vector<WorkerSpec> workers_;
  std::function<void(const Settings&)> loaded_;
  CLI::App app_;
  std::string config_;
  std::vector<std::string> sets_;
  std::string nats_;
  std::string postgres_;
  std::string log_level_;
  bool json_ = false;
  std::vector<CLI::App*> commands_;
  std::function<int()> chosen_;
};

}  // namespace cutover::cli
