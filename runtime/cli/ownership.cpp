#include "runtime/cli/ownership.h"

#include <fmt/format.h>

#include "runtime/host/connect_options.h"
#include "runtime/host/quantities.h"

namespace cutover::cli {

void add_change_options(CLI::App* command, ChangeOptions& options, bool with_guards) {
  command->add_option("--reason", options.reason, "Why; kept in the operators' log. Needed unless --dry-run")
      ->type_name("TEXT");
  command->add_flag("--dry-run", options.dry_run, "Print the same steps and guards, change nothing");
  if (with_guards) {
    std::vector<std::string> names;
    for (const std::string_view name : guard_names()) names.emplace_back(name);
    command
        ->add_option("--force", options.force,
                     "Override one guard by its name; may be given again, and is recorded")
        ->type_name("GUARD")
        ->expected(1)
        ->take_all()
        ->check(CLI::IsMember(names).description(""));
  }
  command->add_option("--lock-timeout", options.lock_limit, "Longest wait for the batches in flight")
      ->type_name("TIME")
      ->capture_default_str();
  command->add_flag("--terminate-blockers", options.terminate_blockers,
                    "End the connections that were in the way for the whole wait, and try once more");
}

void check_change(const ChangeOptions& options, const std::string& command) {
  if (options.reason.empty() && !options.dry_run)
    throw CommandError(
        fmt::format("{} changes who processes events, and needs a reason (--reason). Do: add --reason TEXT; "
                    "it is kept in "
                    "the operators' log. --dry-run needs none.",
                    command));
  for (const std::string& name : options.force)
    if (!is_forceable(name))
      throw CommandError(
          fmt::format(
              "guard {} cannot be forced (--force). Do: see what it finds, with --dry-run, and put it right.",
              name),
          kDifferent);
  patience_of(options);
}

postgres::LockPatience patience_of(const ChangeOptions& options) {
  postgres::LockPatience patience;
  const auto limit = parse_duration(options.lock_limit);
  if (!limit || *limit < std::chrono::milliseconds(100) || *limit > std::chrono::minutes(10))
    throw CommandError(fmt::format(
        "\"{}\" is not accepted (--lock-timeout). Do: give 100ms to 10m, with a unit of ms, s, m.",
        options.lock_limit));
  patience.limit = *limit;
  return patience;
}

std::unique_ptr<postgres::Connection> connect_database(const Settings& settings, const std::string& command) {
  auto connection = std::make_unique<postgres::Connection>(postgres_options(settings, "cutover " + command));
  connection->connect();
  return connection;
}

std::string arguments_json(const ChangeOptions& options, const Json& more) {
  Json arguments = {{"force", options.force},
                    {"lock_timeout", options.lock_limit},
                    {"terminate_blockers", options.terminate_blockers}};
  arguments.update(more);
  return arguments.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace cutover::cli
