#include <fmt/format.h>

#include "runtime/cli/dlq.h"
#include "runtime/postgres/dead_letters.h"

namespace cutover::cli {
namespace {

struct Options {
  LetterFilter filter;
  std::uint64_t limit = 50;
  std::int64_t after = 0;
};

int run_groups(const Shell& shell, const Options& options) {
  const Json filter = filter_document(options.filter);
  const auto session = open_session(shell, "dlq groups");
  postgres::DeadLetters letters(*session);
  const Json groups = letters.groups(filter, options.limit);
  const std::uint64_t count = letters.count(filter);
  Output out = shell.output();
  if (out.json()) {
    out.document({{"letters", count}, {"groups", groups}});
    return kFine;
  }
  if (groups.empty()) {
    out.line(out.paint(none_matches(options.filter), Tone::good));
    return kFine;
  }
  print_groups(out, groups);
  std::uint64_t shown = 0;
  for (const Json& g : groups) shown += g["count"].get<std::uint64_t>();
  out.line();
  out.line(fmt::format(
      "{} in {}{}.", counted(count, "letter"), counted(groups.size(), "group"),
      shown < count ? fmt::format("; {} more in smaller groups (--limit)", grouped(count - shown)) : ""));
  out.line(fmt::format("Next: cutover dlq show {}    cutover dlq ls --group {}",
                       groups[0]["sample"]["letter"].dump(), text_of(groups[0], "group")));
  return kFine;
}

int run_ls(const Shell& shell, const Options& options) {
  const Json filter = filter_document(options.filter);
  const auto session = open_session(shell, "dlq ls");
  postgres::DeadLetters letters(*session);
  const Json page = letters.list(filter, options.after, options.limit);
  const std::uint64_t count = letters.count(filter);
  const bool full = page.size() == options.limit;
  Output out = shell.output();
  if (out.json()) {
    out.document({{"matching", count},
                  {"letters", page},
                  {"next_after", full ? page.back()["letter"] : Json(nullptr)}});
    return kFine;
  }
  if (page.empty()) {
    out.line(out.paint(count == 0 ? none_matches(options.filter) : "No more letters.", Tone::good));
    return kFine;
  }
  std::vector<std::vector<Cell>> rows;
  for (const Json& l : page)
    rows.push_back(
        {l["letter"].dump(), Cell(text_of(l, "state"), l["state"] == "open" ? Tone::warn : Tone::plain),
         text_of(l, "group"), text_of(l, "worker"), text_of(l, "lane"), text_of(l, "kind"),
         text_of(l, "event_name"), text_of(l, "key"), l["attempts"].dump(), short_time(l["last_failed_at"]),
         l["edited"] == true ? "edited" : "", shortened(text_of(l, "error"), 60)});
  out.table({"letter", "state", "group", "worker", "lane", "kind", "event", "key", "attempts", "last failure",
             "", "error"},
            rows);
  out.line();
  out.line(fmt::format("{} of {}.{}", grouped(page.size()), counted(count, "letter"),
                       full && page.size() < count
                           ? fmt::format(" Next page: --after {}", page.back()["letter"].dump())
                           : ""));
  return kFine;
}

}  // namespace

void add_dlq_list(Shell& shell, CLI::App& dlq) {
  const auto groups = std::make_shared<Options>();
  CLI::App* command =
      shell.add(dlq, "groups",
                "What went wrong: open letters by worker, lane, kind and error without its ids and numbers",
                "cutover dlq groups --since 2h", [&shell, groups] { return run_groups(shell, *groups); });
  add_filter_options(command, groups->filter, true, false);
  add_plan_filter(command, groups->filter);
  command->add_option("--limit", groups->limit, "Show so many groups, the biggest first")
      ->type_name("N")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();

  const auto list = std::make_shared<Options>();
  command = shell.add(dlq, "ls", "List letters, the oldest first",
                      "cutover dlq ls --worker search-projector --kind rejected --since 2h",
                      [&shell, list] { return run_ls(shell, *list); });
  add_filter_options(command, list->filter, true, false);
  add_plan_filter(command, list->filter);
  command->add_option("--limit", list->limit, "Show so many")
      ->type_name("N")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  command->add_option("--after", list->after, "Go on behind this letter")->type_name("LETTER");
}

}  // namespace cutover::cli
