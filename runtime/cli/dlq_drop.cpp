#include <fmt/format.h>

#include "runtime/cli/dlq.h"
#include "runtime/cli/operator_name.h"
#include "runtime/postgres/dead_letters.h"

namespace cutover::cli {
namespace {

struct Options {
  LetterFilter filter;
  LetterChange change;
  std::uint64_t expect = 0;
  std::int64_t version = 0;
};

int run_drop(const Shell& shell, const Options& options) {
  check_reason(options.change, "drop");
  Json filter = filter_document(options.filter);
  filter["state"] = "open";
  if (filter.size() == 1 && !options.filter.all)
    throw CommandError(
        "nothing says which letters to drop. Do: add --letter LETTER, --group GROUP or another filter, or "
        "--all.");
  const auto session = open_session(shell, "dlq drop");
  postgres::DeadLetters letters(*session);
  const std::vector<std::int64_t> found = letters.open_letters(filter);
  const std::uint64_t stuck = options.version == 0 ? letters.without_version(filter) : 0;
  Output out = shell.output();
  if (found.empty()) throw CommandError("no open dead letter matches. Do: see `cutover dlq ls`.", kDifferent);
  if (!options.change.dry_run && options.expect != found.size() && (found.size() > 1 || options.expect != 0))
    throw CommandError(
        fmt::format("{} would be dropped for good{}. Do: look at them (cutover dlq ls{}), keep a copy "
                    "(cutover dlq export FILE{}), "
                    "then repeat with --expect {}.",
                    counted(found.size(), "letter"),
                    options.expect == 0 ? "" : fmt::format(", not {}", grouped(options.expect)),
                    filter_words(options.filter), filter_words(options.filter), found.size()),
        kDifferent);
  if (options.version != 0 && found.size() != 1)
    throw CommandError("--version is of one letter. Do: name it, with --letter.", kDifferent);
  std::uint64_t dropped = 0;
  if (!options.change.dry_run)
    with_refusals(
        [&] { dropped = letters.drop(found, options.version, operator_name(), options.change.reason); });
  if (out.json()) {
    out.document({{"dry_run", options.change.dry_run},
                  {"matching", found.size()},
                  {"dropped", dropped},
                  {"without_version", stuck}});
    return kFine;
  }
  if (options.change.dry_run) {
    print_groups(out, letters.groups(filter, 1'000));
    out.line();
    out.line(fmt::format("A dry run: {} would be dropped for good.", counted(found.size(), "letter")));
  } else {
    out.line(fmt::format(
        "{} dropped{}. Their keys count as done: nobody applies them.", counted(dropped, "letter"),
        dropped < found.size() ? fmt::format(", {} had changed meanwhile", grouped(found.size() - dropped))
                               : ""));
  }
  if (stuck > 0)
    out.line(
        fmt::format("{} of an ordered worker {} not tell the version of its subject: later versions of it "
                    "wait. Do: edit such a letter, or drop it "
                    "with --version N.",
                    counted(stuck, "letter"), stuck == 1 ? "does" : "do"));
  return kFine;
}

}  // namespace

void add_dlq_drop(Shell& shell, CLI::App& dlq) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = shell.add(dlq, "drop", "Give open letters up for good: nobody applies them any more",
                                "cutover dlq drop --letter 4711 --reason \"a test event of ours\"",
                                [&shell, options] { return run_drop(shell, *options); });
  add_filter_options(command, options->filter, false, true);
  add_plan_filter(command, options->filter);
  command->add_option("--expect", options->expect, "How many there are; needed for more than one")
      ->type_name("N");
  command
      ->add_option("--version", options->version,
                   "Of the subject, where the letter does not tell it: its later versions stop waiting")
      ->type_name("N");
  add_letter_change(command, options->change);
}

}  // namespace cutover::cli
