#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/cli/interrupt.h"
#include "runtime/cli/shell.h"
#include "runtime/cli/step_report.h"
#include "runtime/host/settings.h"
#include "runtime/postgres/connection.h"

namespace cutover::cli {

// What every command that changes ownership takes.
struct ChangeOptions {
  std::string reason;
  std::vector<std::string> force;
  bool dry_run = false;
  bool terminate_blockers = false;
  std::string lock_limit = "5s";
};

void add_change_options(CLI::App* command, ChangeOptions& options, bool with_guards = true);

// Refuses a change without a reason and forces of guards that cannot be forced.
// Throws CommandError.
void check_change(const ChangeOptions& options, const std::string& command);

postgres::LockPatience patience_of(const ChangeOptions& options);

// A connection for an operator's command. Throws DependencyDown.
std::unique_ptr<postgres::Connection> connect_database(const Settings& settings, const std::string& command);

// The options as the log shows them.
std::string arguments_json(const ChangeOptions& options, const Json& more = Json::object());

}  // namespace cutover::cli
