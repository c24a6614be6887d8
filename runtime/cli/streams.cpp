#include <memory>

#include "runtime/cli/commands.h"
#include "runtime/cli/jetstream.h"
#include "runtime/cli/topology_files.h"
#include "streams/topology_plan.h"

namespace cutover::cli {
namespace {

struct Options {
  std::string directory;
  std::string environment;
  bool allow_destructive = false;
};

constexpr const char* kKinds[] = {"create", "update", "unmanaged"};
constexpr const char* kEffects[] = {"safe", "destructive", "impossible"};
constexpr Tone kTones[] = {Tone::good, Tone::warn, Tone::bad};

Json as_json(const std::vector<Change>& changes) {
  Json list = Json::array();
  for (const Change& change : changes)
    list.push_back({{"kind", kKinds[static_cast<int>(change.kind)]},
                    {"stream", change.stream},
                    {"field", change.field},
                    {"from", change.from},
                    {"to", change.to},
                    {"effect", kEffects[static_cast<int>(change.effect)]},
                    {"consequence", change.consequence},
                    {"text", to_text(change)}});
  return list;
}

bool differs(const std::vector<Change>& changes) {
  for (const Change& change : changes)
    if (change.kind != Change::Kind::unmanaged) return true;
  return false;
}

void print(Output& out, const std::vector<Change>& changes, std::string_view when_none) {
  for (const Change& change : changes)
    out.line(out.paint(to_text(change), change.kind == Change::Kind::unmanaged
                                            ? Tone::dim
                                            : kTones[static_cast<int>(change.effect)]));
  if (!differs(changes)) out.line(when_none);
}

Settings settings_of(const Shell& shell, const Options& options) {
  Settings settings = shell.load_settings().values;
  if (!options.directory.empty()) settings.streams.directory = options.directory;
  if (!options.environment.empty()) settings.streams.environment = options.environment;
  return settings;
}

int run_plan(const Shell& shell, const Options& options) {
  const Settings settings = settings_of(shell, options);
  const Topology topology = topology_of(settings);
  JetStream jetstream(settings);
  const std::vector<Change> changes = plan(topology, jetstream.admin());
  Output out = shell.output();
  if (out.json())
    out.document({{"as_wanted", !differs(changes)}, {"changes", as_json(changes)}});
  else
    print(out, changes, "The server is as the files want it.");
  return differs(changes) ? kDifferent : kFine;
}

int run_apply(const Shell& shell, const Options& options) {
  const Settings settings = settings_of(shell, options);
  const Topology topology = topology_of(settings);
  JetStream jetstream(settings);
  std::vector<Change> changes;
  try {
    changes = apply(topology, jetstream.admin(), options.allow_destructive);
  } catch (const TopologyError& refused) {
    throw CommandError(refused.what(), kDifferent);
  }
  Output out = shell.output();
  if (out.json())
    out.document({{"changed", as_json(changes)}});
  else
    print(out, changes, "Nothing to change.");
  return kFine;
}

void add_shared(CLI::App* command, Options& options) {
  command->add_option("--streams-dir", options.directory, "The same as --set streams.directory=DIR")
      ->type_name("DIR");
  command->add_option("--environment", options.environment, "The same as --set streams.environment=NAME")
      ->type_name("NAME");
}

}  // namespace

void add_streams(Shell& shell) {
  const auto options = std::make_shared<Options>();
  CLI::App* group = shell.add_group("streams", "Compare the topology with the server, and make it so",
                                    "cutover streams plan");
  CLI::App* plan_command =
      shell.add(*group, "plan", "Show how the server differs from the files; exit 1 when it does",
                "cutover streams plan --environment production",
                [&shell, options] { return run_plan(shell, *options); });
  add_shared(plan_command, *options);
  CLI::App* apply_command =
      shell.add(*group, "apply", "Make the server as the files want it", "cutover streams apply",
                [&shell, options] { return run_apply(shell, *options); });
  add_shared(apply_command, *options);
  apply_command->add_flag("--allow-destructive", options->allow_destructive,
                          "Also changes that delete messages or copies");
}

}  // namespace cutover::cli
