#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/cli/json_changes.h"
#include "runtime/cli/shell.h"
#include "runtime/postgres/session.h"

namespace cutover::cli {

// Which dead letters a command is about; what is not given does not restrict.
struct LetterFilter {
  std::string worker, lane, kind, group, event, key, stream, since, until;
  std::string state = "open";
  std::vector<std::int64_t> letters;
  std::int64_t plan = 0;
  bool all = false;  // no restriction, and it is meant
};

// with_state  --state, for commands that show; the others are about open letters
// with_all    --all, for commands that change
void add_filter_options(CLI::App* command, LetterFilter& filter, bool with_state, bool with_all);
// --plan; not for replay, where it means something else.
void add_plan_filter(CLI::App* command, LetterFilter& filter);

// As cutover.letters takes it. Throws CommandError for a time that is none, and where `--all` was needed.
Json filter_document(const LetterFilter& filter);
// --group 1a2b3c4d --since 2h: the options again.
std::string filter_words(const LetterFilter& filter);
// What to say where nothing matches.
std::string none_matches(const LetterFilter& filter);

// What changing commands take beside that.
struct LetterChange {
  std::string reason;
  bool dry_run = false;
};
void add_letter_change(CLI::App* command, LetterChange& change);
// Throws CommandError without a reason.
void check_reason(const LetterChange& change, const std::string& command);

std::unique_ptr<postgres::Session> open_session(const Shell& shell, const std::string& command);

// Runs it; what the database refuses becomes a CommandError that says what to do.
void with_refusals(const std::function<void()>& work);

// "2026-11-21 15:04:05" of PostgreSQL's time in a document; "-" for none.
std::string short_time(const Json& time);
// The text of a field; "-" for what is not there or empty.
std::string text_of(const Json& object, const char* name);
// Cut to so many characters, with an ellipsis.
std::string shortened(const std::string& text, std::size_t characters_max);

// Of an entry in a letter's history: what somebody did to it; none where it failed.
struct LetterDeed {
  std::string what, by, why;  // edited, dropped or imported
};
std::optional<LetterDeed> deed_of(const Json& entry);

// What an edit changed, side by side: the field, the original, the edited value. Where one of both is no
// JSON, from the first byte that differs.
std::vector<Cell> change_cells(const JsonChange& change);

// Groups of letters as a table.
void print_groups(Output& out, const Json& groups);

// Each adds commands to the group `dlq`.
void add_dlq_list(Shell& shell, CLI::App& dlq);  // groups, ls
void add_dlq_show(Shell& shell, CLI::App& dlq);
void add_dlq_replay(Shell& shell, CLI::App& dlq);
void add_dlq_plans(Shell& shell, CLI::App& dlq);  // plans, approve
void add_dlq_drop(Shell& shell, CLI::App& dlq);
void add_dlq_edit(Shell& shell, CLI::App& dlq);
void add_dlq_transfer(Shell& shell, CLI::App& dlq);  // export, import

}  // namespace cutover::cli
