#include "runtime/cli/dlq.h"

#include <algorithm>

#include <fmt/format.h>

#include "runtime/cli/commands.h"
#include "runtime/contract/timestamp.h"
#include "runtime/engine/ports.h"
#include "runtime/host/quantities.h"
#include "runtime/postgres/headers.h"

namespace cutover::cli {
namespace {

const std::vector<std::string> kKinds = {"malformed", "unsupported_version", "rejected",
                                         "transient", "crash_suspect",       "gap"};
const std::vector<std::string> kStates = {"open",    "replaying", "replayed", "handed over",
                                          "dropped", "seized",    "all"};

// A time, or how long ago: 2h.
std::string time_text(const std::string& text, const char* option) {
  if (const auto ago = parse_duration(text)) return postgres::timestamp_text(SystemClock().now() - *ago);
  if (const auto at = parse_timestamp(text)) return postgres::timestamp_text(*at);
  throw CommandError(
      fmt::format("\"{}\" is no time ({}). Do: write how long ago (90s, 2h, 3d), or 2026-03-01T02:30:00Z.",
                  text, option));
}

std::string plain(std::string_view message) {
  const auto colon = message.find(":  ");  // ERROR:  text
  return std::string(colon == std::string_view::npos ? message : message.substr(colon + 3));
}

}  // namespace

void add_filter_options(CLI::App* command, LetterFilter& filter, bool with_state, bool with_all) {
  const auto add = [&](const char* name, std::string& value, const char* text, const char* type) {
    return command->add_option(name, value, text)->type_name(type)->group("Which dead letters");
  };
  add("--group", filter.group, "Of this group; `cutover dlq groups` lists them", "GROUP");
  add("--worker", filter.worker, "That this worker gave up on", "NAME");
  add("--lane", filter.lane, "Of this lane", "NAME");
  add("--kind", filter.kind, "malformed, unsupported_version, rejected, transient, crash_suspect or gap",
      "KIND")
      ->check(CLI::IsMember(kKinds).description(""));
  add("--event", filter.event, "Of this event name", "NAME");
  add("--key", filter.key, "Of this ordering key", "KEY");
  add("--stream", filter.stream, "From this stream", "NAME");
  add("--since", filter.since, "Last failed at this time or later: 2h (ago), or 2026-03-01T02:30:00Z",
      "TIME");
  add("--until", filter.until, "Last failed before this time", "TIME");
  if (with_state)
    add("--state", filter.state, "open, replaying, replayed, \"handed over\", dropped, seized or all",
        "STATE")
        ->check(CLI::IsMember(kStates).description(""))
        ->capture_default_str();
  command->add_option("--letter", filter.letters, "This one, by its number; may be given again")
      ->type_name("LETTER")
      ->expected(1)
      ->take_all()
      ->group("Which dead letters");
  if (with_all)
    command->add_flag("--all", filter.all, "All open ones; needed where nothing else says which")
        ->group("Which dead letters");
}

void add_plan_filter(CLI::App* command, LetterFilter& filter) {
  command->add_option("--plan", filter.plan, "Sealed by this plan; its open ones failed again, or wait")
      ->type_name("PLAN")
      ->group("Which dead letters");
}

Json filter_document(const LetterFilter& filter) {
  Json document = Json::object();
  const std::pair<const char*, const std::string*> texts[] = {
      {"worker", &filter.worker}, {"lane", &filter.lane},   {"kind", &filter.kind},
      {"group", &filter.group},   {"event", &filter.event}, {"key", &filter.key},
      {"stream", &filter.stream}, {"state", &filter.state}};
  for (const auto& [name, value] : texts)
    if (!value->empty() && *value != "all") document[name] = *value;
  if (!filter.since.empty()) document["since"] = time_text(filter.since, "--since");
  if (!filter.until.empty()) document["until"] = time_text(filter.until, "--until");
  if (!filter.letters.empty()) document["letters"] = filter.letters;
  if (filter.plan != 0) document["plan"] = filter.plan;
  return document;
}

std::string filter_words(const LetterFilter& filter) {
  std::string words;
  const std::pair<const char*, const std::string*> options[] = {
      {"--group", &filter.group},   {"--worker", &filter.worker}, {"--lane", &filter.lane},
      {"--kind", &filter.kind},     {"--event", &filter.event},   {"--key", &filter.key},
      {"--stream", &filter.stream}, {"--since", &filter.since},   {"--until", &filter.until}};
  for (const auto& [name, value] : options)
    if (!value->empty()) words += fmt::format(" {} {}", name, *value);
  for (const std::int64_t letter : filter.letters) words += fmt::format(" --letter {}", letter);
  if (filter.plan != 0) words += fmt::format(" --plan {}", filter.plan);
  if (filter.all && words.empty()) words = " --all";
  return words;
}

std::string none_matches(const LetterFilter& filter) {
  return filter.state == "open" ? "No open dead letter matches." : "No dead letter matches.";
}

void add_letter_change(CLI::App* command, LetterChange& change) {
  command->add_option("--reason", change.reason, "Why; kept in the operators' log. Needed unless --dry-run")
      ->type_name("TEXT");
  command->add_flag("--dry-run", change.dry_run, "Print what it would do, change nothing");
}

void check_reason(const LetterChange& change, const std::string& command) {
  if (change.reason.empty() && !change.dry_run)
    throw CommandError(fmt::format(
        "{} needs a reason (--reason). Do: add --reason TEXT; it is kept in the operators' log. --dry-run "
        "needs none.",
        command));
}

std::unique_ptr<postgres::Session> open_session(const Shell& shell, const std::string& command) {
  const Settings settings = shell.load_settings().values;
  return std::make_unique<postgres::Session>(settings.postgres.url, settings.postgres.password,
                                             "cutover " + command);
}

void with_refusals(const std::function<void()>& work) {
  try {
    work();
  } catch (const StatementError& error) {
    const std::string text = plain(error.what());
    if (error.sqlstate == "CU006")
      throw CommandError(
          text +
              ". Do: have somebody with another database login run `cutover dlq approve PLAN --reason TEXT`.",
          kDifferent);
    if (error.sqlstate == "CU007")
      throw CommandError(text + ". Do: see `cutover dlq plans` and `cutover dlq ls`.", kDifferent);
    if (error.sqlstate == "CU008")
      throw CommandError(
          text + ". Do: put it back as it was; an event of its own is the producer's to publish.",
          kDifferent);
    if (error.sqlstate == "CU001")
      throw CommandError(text + ". Do: start that worker once, it registers itself.", kDifferent);
    if (error.sqlstate == "42501")
      throw CommandError(text + ". Do: GRANT cutover_operator to the database login of postgres.url.");
    throw;
  }
}

std::string short_time(const Json& time) {
  if (!time.is_string()) return "-";
  std::string text = time.get<std::string>().substr(0, 19);
  if (text.size() > 10) text[10] = ' ';
  return text;
}

std::string text_of(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null() || *found == "") return "-";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

std::string shortened(const std::string& text, std::size_t characters_max) {
  std::size_t characters = 0;
  for (std::size_t i = 0; i < text.size(); ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80 && ++characters > characters_max)
      return text.substr(0, i) + "...";
  return text;
}

std::optional<LetterDeed> deed_of(const Json& entry) {
  for (const char* what : {"edited", "dropped", "imported"})
    if (const auto by = entry.find(std::string(what) + "_by"); by != entry.end())
      return LetterDeed{what, by->get<std::string>() + ", login " + text_of(entry, "login"),
                        text_of(entry, "reason")};
  return std::nullopt;
}

std::vector<Cell> change_cells(const JsonChange& change) {
  constexpr std::size_t kShown = 60, kBefore = 30;
  if (!change.path.empty())
    return {change.path, shortened(change.before, kShown), shortened(change.after, kShown)};
  const auto differ =
      std::mismatch(change.before.begin(), change.before.end(), change.after.begin(), change.after.end());
  const auto byte = static_cast<std::size_t>(differ.first - change.before.begin());
  std::size_t from = byte > kBefore ? byte - kBefore : 0;
  while (from < byte && (static_cast<unsigned char>(change.before[from]) & 0xC0) == 0x80) ++from;
  const auto side = [&](const std::string& text) {
    return (from > 0 ? "..." : "") + shortened(text.substr(from), kShown);
  };
  return {"byte " + std::to_string(byte), side(change.before), side(change.after)};
}

void print_groups(Output& out, const Json& groups) {
  std::vector<std::vector<Cell>> rows;
  for (const Json& g : groups)
    rows.push_back({text_of(g, "group"), grouped(g["count"].get<std::uint64_t>()), text_of(g, "worker"),
                    text_of(g, "lane"), Cell(text_of(g, "kind"), Tone::warn), short_time(g["first"]),
                    short_time(g["last"]), g["sample"]["letter"].dump(), shortened(text_of(g, "error"), 80)});
  out.table(
      {"group", "letters", "worker", "lane", "kind", "first failure", "last failure", "sample", "error"},
      rows);
}

void add_dlq(Shell& shell) {
  CLI::App* dlq =
      shell.add_group("dlq", "Dead letters: see what workers gave up on, replay it, hand it over, drop it",
                      "cutover dlq groups");
  dlq->footer(
      "At three in the morning:\n"
      "  cutover dlq groups                                   what went wrong: one line is one problem\n"
      "  cutover dlq show LETTER                              one of them, and its whole life\n"
      "  cutover dlq replay --group GROUP --plan --reason TEXT\n"
      "                                                       freeze which letters, send nothing\n"
      "  cutover dlq replay --execute PLAN --reason TEXT      send exactly these: 1, 10, 100, the rest\n"
      "deploy/runbooks/dead-letters.md walks through an incident.\n\n"
      "Example:\n  cutover dlq groups");
  add_dlq_list(shell, *dlq);
  add_dlq_show(shell, *dlq);
  add_dlq_replay(shell, *dlq);
  add_dlq_plans(shell, *dlq);
  add_dlq_drop(shell, *dlq);
  add_dlq_edit(shell, *dlq);
  add_dlq_transfer(shell, *dlq);
}

}  // namespace cutover::cli
