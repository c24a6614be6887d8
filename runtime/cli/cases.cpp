#include <memory>

#include <fmt/format.h>

#include "runtime/cli/commands.h"
#include "runtime/cli/operator_name.h"
#include "runtime/cli/operator_transactions.h"

namespace cutover::cli {
namespace {

constexpr std::size_t kReasonBytesMax = 1'000;

std::string text_of(const Json& value) {
  if (value.is_null()) return "";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// 2026-01-02 03:04:05 of any of the forms that JSON has.
std::string time_text(const Json& value) {
  std::string text = text_of(value).substr(0, 19);
  if (text.size() > 10 && text[10] == 'T') text[10] = ' ';
  return text;
}

int run_list(const Shell& shell, const CaseDesk& desk, const CaseFilter& filter) {
  const Settings settings = shell.load_settings().values;
  Json cases;
  operator_transactions(settings, desk.worker, "cases")(
      [&](Transaction& tx) { cases = Json::parse(desk.list(tx, filter)); });
  Output out = shell.output();
  if (out.json()) {
    out.document({{"cases", cases}});
    return kFine;
  }
  if (cases.empty()) {
    out.line("No such cases.");
    return kFine;
  }
  std::vector<std::vector<Cell>> rows;
  for (const Json& one : cases) {
    const int lane = one["lane"];
    std::string reasons;
    for (const Json& reason : one["reasons"]) reasons += (reasons.empty() ? "" : ", ") + reason.get<std::string>();
    rows.push_back({text_of(one["case_id"]), text_of(one["case_type"]) + " " + text_of(one["severity"]),
                    Cell(fmt::format("P{}", lane), lane == 0 ? Tone::bad : Tone::plain), text_of(one["state"]),
                    text_of(one["rule"]), time_text(one["opened_at"]),
                    one["first_response_at"].is_null() ? time_text(one["first_response_due"]) : "responded",
                    time_text(one["hold_until"]), reasons});
  }
  out.table({"case", "type", "lane", "state", "rule", "opened", "response due", "held until", "escalated by"}, rows);
  return kFine;
}

int run_show(const Shell& shell, const CaseDesk& desk, std::int64_t case_id) {
  const Settings settings = shell.load_settings().values;
  std::string text;
  operator_transactions(settings, desk.worker, "cases")([&](Transaction& tx) { text = desk.show(tx, case_id); });
  if (text.empty()) throw CommandError(fmt::format("case {}: there is no such case. Do: cutover cases ls.", case_id), kDifferent);
  const Json document = Json::parse(text);
  Output out = shell.output();
  if (out.json()) {
    out.document(document);
    return kFine;
  }
  std::vector<std::vector<Cell>> rows;
  for (const auto& [name, value] : document["case"].items())
    if (!value.is_null()) rows.push_back({name, text_of(value)});
  out.table({"case", ""}, rows);
  out.line();
  rows.clear();
  for (const Json& one : document["decisions"])
    rows.push_back({text_of(one["evaluation"]), text_of(one["cause"]), time_text(one["as_of"]), text_of(one["rule"]),
                    text_of(one["outcome"]), text_of(one["confidence"]), text_of(one["hold_hours"]) + " h",
                    one["actions"].dump()});
  out.table({"decision", "cause", "as of", "rule", "outcome", "confidence", "hold", "actions"}, rows);
  out.line();
  rows.clear();
  for (const Json& one : document["audit"])
    rows.push_back({time_text(one["at"]), text_of(one["what"]), text_of(one["rule"]), text_of(one["actor_id"]),
                    text_of(one["reason"]), one["detail"].dump()});
  out.table({"at", "what", "rule", "by", "reason", "detail"}, rows);
  return kFine;
}

int run_command(const Shell& shell, const CaseDesk& desk, CaseCommand command) {
  if (command.reason.size() > kReasonBytesMax)
    throw CommandError(fmt::format("the reason has {} bytes (--reason). Do: say it in {} at most.", command.reason.size(), kReasonBytesMax));
  const Settings settings = shell.load_settings().values;
  command.actor = operator_name();
  CaseAnswer answer;
  operator_transactions(settings, desk.worker, "cases")([&](Transaction& tx) { answer = desk.command(tx, command); });
  if (!answer.done) throw CommandError(answer.text, kDifferent);
  Output out = shell.output();
  if (out.json())
    out.document({{"case_id", command.case_id}, {"done", answer.text}, {"actor", command.actor}, {"reason", command.reason}});
  else
    out.line(answer.text);
  return kFine;
}

}  // namespace

void add_cases(Shell& shell, const CaseDesk& desk) {
  CLI::App* group = shell.add_group("cases", "Work on ownership and trust cases", "cutover cases ls --lane 0");
  const auto filter = std::make_shared<CaseFilter>();
  CLI::App* ls = shell.add(*group, "ls", "List cases, the most urgent first", "cutover cases ls --lane 0",
                           [&shell, &desk, filter] { return run_list(shell, desk, *filter); });
  ls->add_option("--lane", filter->lane, "0 to 3; all without it")->check(CLI::Range(0, 3));
  ls->add_option("--state", filter->state, "All that are not resolved without it")
      ->check(CLI::IsMember({"routed", "queued", "waiting", "held", "resolved"}));
  ls->add_option("--limit", filter->limit, "How many (50)")->check(CLI::Range(1, 10'000));

  const auto shown = std::make_shared<std::int64_t>();
  CLI::App* show = shell.add(*group, "show", "Show all that is known about a case", "cutover cases show 7 --json",
                             [&shell, &desk, shown] { return run_show(shell, desk, *shown); });
  show->add_option("case", *shown, "Its id")->required();

  const auto add = [&](CaseCommand::Verb verb, const std::string& name, const std::string& description,
                       const std::string& example) {
    const auto command = std::make_shared<CaseCommand>();
    command->verb = verb;
    CLI::App* app = shell.add(*group, name, description, example,
                              [&shell, &desk, command] { return run_command(shell, desk, *command); });
    app->add_option("case", command->case_id, "Its id")->required();
    app->add_option("--reason", command->reason, "Why, for the audit")->required()->check([](const std::string& text) {
      return text.empty() ? "a reason is needed" : "";
    });
    return std::pair(app, command);
  };
  const auto [resolve, resolved] =
      add(CaseCommand::Verb::resolve, "resolve", "End a case",
          "cutover cases resolve 7 --outcome resolve --action award_incumbent --reason \"passport seen\"");
  resolve->add_option("--outcome", resolved->outcome, "resolve, reject or dismiss")
      ->required()
      ->check(CLI::IsMember({"resolve", "reject", "dismiss"}));
  resolve->add_option("--action", resolved->action, "What is done for somebody, such as award_challenger");
  add(CaseCommand::Verb::escalate, "escalate", "Move a case one lane up", "cutover cases escalate 7 --reason \"a minister\"");
  const auto [extend, extended] = add(CaseCommand::Verb::extend_hold, "extend-hold", "Let a hold run longer",
                                      "cutover cases extend-hold 7 --hours 48 --reason \"waiting for the carrier\"");
  extend->add_option("--hours", extended->hours, "How much longer (24)")->check(CLI::Range(1, 720));
  add(CaseCommand::Verb::note, "note", "Add a note to the audit of a case", "cutover cases note 7 --reason \"called back\"");
}

}  // namespace cutover::cli
