#include <unistd.h>

#include <charconv>

#include <fmt/format.h>

#include "runtime/cli/dlq.h"
#include "runtime/cli/json_changes.h"
#include "runtime/cli/operator_name.h"
#include "runtime/cli/text_editor.h"
#include "runtime/event/envelope.h"
#include "runtime/postgres/dead_letters.h"

namespace cutover::cli {
namespace {

struct Options {
  std::int64_t letter = 0;
  std::string file;
  LetterChange change;
};

std::string header_of(const Json& letter, std::string_view name) {
  for (const Json& h : letter["headers"])
    if (h[0] == name && h[1].is_string()) return h[1];
  return {};
}

// Where in the text the parser's complaint is: "byte 17: ..." or "payload: ..." with the name of a field.
std::string position_of(const std::string& reason, std::string_view text) {
  std::size_t byte = 0;
  constexpr std::string_view kByte = "byte ";
  if (reason.starts_with(kByte)) {
    std::from_chars(reason.data() + kByte.size(), reason.data() + reason.size(), byte);
    return line_and_column(text, byte);
  }
  std::string field = reason.substr(0, reason.find(':'));
  field = field.substr(field.rfind('.') == std::string::npos ? 0 : field.rfind('.') + 1);
  const auto at = text.find("\"" + field + "\"");
  return at == std::string_view::npos ? "field " + field : line_and_column(text, at);
}

// What the runtime would read of it. Throws CommandError with the position of what is wrong.
postgres::DeadLetters::Edit parsed(const Json& letter, const std::string& text, const EnvelopeLimits& limits,
                                   const std::string& file) {
  std::string padded = text + std::string(kEnvelopePadding, '\0');
  const std::string key_header = header_of(letter, "Cutover-Key"), subject = letter["subject"];
  EnvelopeInput input;
  input.data = std::string_view(padded).substr(0, text.size());
  input.nats_subject = subject;
  input.cutover_key = key_header;
  EventArena arena;
  const auto result = EnvelopeParser(limits).parse(input, arena);
  if (const Malformed* bad = std::get_if<Malformed>(&result))
    throw CommandError(
        fmt::format(
            "the edited payload is no event: {} ({} of {}). Nothing was changed. Do: correct the file, then "
            "`cutover dlq edit {} --file {} --reason TEXT`.",
            bad->reason, position_of(bad->reason, text), file, letter["letter"].dump(), file),
        kDifferent);
  const Event& event = std::get<Event>(result);
  postgres::DeadLetters::Edit edit;
  edit.letter = letter["letter"];
  edit.entries = letter["history"].size();
  edit.payload = compact_json(text);
  edit.event_id = event.event_id;
  edit.event_name = event.event_name;
  edit.key = event.key;
  edit.tenant_scope = event.tenant_scope;
  edit.idempotency_key = event.idempotency_key;
  edit.version = event.subject.version;
  return edit;
}

int run_edit(const Shell& shell, const Options& options) {
  check_reason(options.change, "edit");
  const Settings settings = shell.load_settings().values;
  const auto session = open_session(shell, "dlq edit");
  postgres::DeadLetters letters(*session);
  const Json letter = letters.letter(options.letter);
  if (letter.is_null() || letter["state"] != "open")
    throw CommandError(fmt::format("dead letter {} is {}. Do: `cutover dlq ls` lists those that are open.",
                                   options.letter, letter.is_null() ? "not there" : text_of(letter, "state")),
                       kDifferent);
  const std::string before = letters.payload(options.letter).sent;
  const std::string file =
      options.file.empty() ? open_in_editor(indented_json(before) + "\n", ".json") : options.file;
  std::string text = read_file(file);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  Output out = shell.output();
  if (compact_json(text) == compact_json(before)) {
    if (options.file.empty()) ::unlink(file.c_str());
    if (out.json())
      out.document({{"letter", options.letter}, {"changes", Json::array()}});
    else
      out.line("Nothing was changed.");
    return kFine;
  }
  EnvelopeLimits limits;
  limits.message_bytes_max = settings.limits.message_bytes_max;
  postgres::DeadLetters::Edit edit = parsed(letter, text, limits, file);
  const std::vector<JsonChange> changes = json_changes(before, edit.payload);
  // The log keeps which fields; their values stand side by side in the letter, where they can be erased.
  edit.changes = Json::array();
  for (const JsonChange& c : changes)
    edit.changes.push_back({{"path", c.path},
                            {"op", c.before.empty()  ? "add"
                                   : c.after.empty() ? "remove"
                                                     : "replace"}});
  try {
    if (!options.change.dry_run)
      with_refusals([&] { letters.edit(edit, operator_name(), options.change.reason); });
  } catch (const CommandError& refused) {
    throw CommandError(fmt::format("{} What you wrote is in {}.", refused.what(), file), refused.exit_code);
  }
  if (options.file.empty()) ::unlink(file.c_str());
  if (out.json()) {
    Json list = Json::array();
    for (const JsonChange& c : changes)
      list.push_back({{"path", c.path}, {"original", c.before}, {"edited", c.after}});
    out.document({{"dry_run", options.change.dry_run}, {"letter", options.letter}, {"changes", list}});
    return kFine;
  }
  std::vector<std::vector<Cell>> rows;
  for (const JsonChange& c : changes) rows.push_back(change_cells(c));
  out.table({"field", "original, not sent any more", "edited"}, rows);
  out.line();
  out.line(
      options.change.dry_run
          ? "A dry run: the envelope is valid, nothing was changed."
          : fmt::format("Letter {} is edited; what was received stays beside it and is never sent again.",
                        options.letter));
  if (!options.change.dry_run)
    out.line(fmt::format("Next: cutover dlq replay --letter {} --plan --reason TEXT", options.letter));
  return kFine;
}

}  // namespace

void add_dlq_edit(Shell& shell, CLI::App& dlq) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = shell.add(dlq, "edit", "Change what a replay of one letter sends; opens $EDITOR",
                                "cutover dlq edit 4711 --reason \"the producer sent a wrong contact_id\"",
                                [&shell, options] { return run_edit(shell, *options); });
  command->add_option("letter", options->letter, "Its number")->required()->type_name("LETTER");
  command->add_option("--file", options->file, "The edited payload, instead of an editor")->type_name("FILE");
  add_letter_change(command, options->change);
}

}  // namespace cutover::cli
