#include <memory>

#include <fmt/format.h>

#include "runtime/cli/audit_stream.h"
#include "runtime/cli/commands.h"
#include "runtime/cli/dlq.h"
#include "runtime/cli/explain_query.h"

namespace cutover::cli {
namespace {

struct Options {
  std::string worker;
  ExplainRequest request;
};

// The text of a field; "-" for what is not there.
std::string text(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null() || *found == "") return "-";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

std::string place_text(const Json& object) {
  return object["stream"].is_null() ? "waits"
                                    : fmt::format("{}/{}", text(object, "stream"), text(object, "sequence"));
}

std::string words(std::string name) {
  for (char& c : name)
    if (c == '_') c = ' ';
  return name;
}

using Rows = std::vector<std::vector<Cell>>;

void print_facts(Output& out, const Json& told) {
  const Json& event = told["event"];
  Rows rows;
  const std::string classified = text(told, "class");
  rows.push_back({"class", Cell(words(classified), classified == "stranded" ? Tone::bad : Tone::good)});
  rows.push_back({"found in", text(told, "found_in")});
  rows.push_back({"subject", text(told, "subject")});
  rows.push_back({"stored", text(told, "stored_at")});
  if (event.is_object()) {
    if (event.contains("malformed")) rows.push_back({"malformed", Cell(text(event, "malformed"), Tone::bad)});
    rows.push_back({"event", text(event, "event_name") + ", " + text(event, "event_id")});
    rows.push_back({"key", fmt::format("{}, bucket {}", text(event, "key"), text(event, "bucket"))});
    rows.push_back({"work", text(event, "tenant_scope") + ", " + text(event, "idempotency_key")});
    rows.push_back({"caused by", text(event, "causation_id")});
    rows.push_back({"correlation", text(event, "correlation_id")});
  }
  const Json& owner = told["owner"];
  std::string whose = text(owner, "side");
  if (owner.contains("epoch"))
    whose +=
        fmt::format(": {}{} since epoch {}, from sequence {} ({}, {}: {})", text(owner, "mode"),
                    owner["mode"] == "canary" ? fmt::format(" {:g} %", owner["percent"].get<double>()) : "",
                    text(owner, "epoch"), text(owner, "from_sequence"), text(owner, "at"),
                    text(owner, "actor"), text(owner, "reason"));
  rows.push_back({"owner", whose});
  for (const auto& row : rows)
    out.line(fmt::format("  {:<12}{}", row[0].text, out.paint(row[1].text, row[1].tone)));
}

void print_list(Output& out, const std::string& title, const std::vector<std::string>& titles,
                const Rows& rows) {
  if (rows.empty()) return;
  out.line(title);
  std::vector<std::string> indented = titles;
  indented.front() = "  " + indented.front();
  Rows lines = rows;
  for (auto& line : lines) line.front().text = "  " + line.front().text;
  out.table(indented, lines);
}

void print_ledger(Output& out, const Json& told) {
  Rows rows;
  for (const Json& s : told["settlements"])
    rows.push_back({text(s, "side"), words(text(s, "class")), text(s, "settled_at"),
                    (s["exact"] == true ? std::string() : "at the latest; its batch was merged with others") +
                        (s["this_event"] == false ? "for another event: the broker reused the place" : "")});
  print_list(out, "settled", {"side", "class", "at", ""}, rows);

  rows.clear();
  for (const Json& a : told["attempts"])
    rows.push_back({text(a, "attempts"), text(a, "lone_crashes"), text(a, "first_failed_at"),
                    text(a, "last_failed_at"), a["shadow"] == true ? "shadow" : "", text(a, "last_error")});
  print_list(out, "failures so far", {"attempts", "crashes", "first", "last", "", "last error"}, rows);

  for (const Json& letter : told["dead_letters"]) {
    rows.clear();
    for (const Json& entry : letter["history"])
      if (const auto deed = deed_of(entry))
        rows.push_back({text(entry, "at"), deed->what, "", deed->by, "", deed->why});
      else
        rows.push_back({text(entry, "at"), text(entry, "kind"), text(entry, "attempts"),
                        text(entry, "instance"), text(entry, "build"), text(entry, "error")});
    print_list(
        out,
        fmt::format("dead letter {} of lane {}: {}{}{}", text(letter, "letter_id"), text(letter, "lane"),
                    text(letter, "state"), letter["shadow"] == true ? ", shadow" : "",
                    letter["plan_id"].is_null() ? "" : ", plan " + text(letter, "plan_id")),
        {"at", "what", "attempts", "by", "build", "why"}, rows);
  }
}

void print_outgoing(Output& out, const Json& rows, const std::string& title) {
  Rows lines;
  for (const Json& row : rows)
    lines.push_back(
        {place_text(row), text(row, "subject"), text(row, "message_id"),
         row["published_at"].is_null()
             ? Cell(row["available_at"].is_null() ? "waits" : "a timer: " + text(row, "available_at"),
                    Tone::warn)
             : Cell(text(row, "published_at")),
         row["error"].is_null() ? "" : text(row, "error")});
  print_list(out, title, {"place", "subject", "message id", "published", ""}, lines);
}

void print(Output& out, const Json& told) {
  if (told["place"].is_null()) {
    out.line(fmt::format("{} was not found for {}", told["asked"].get<std::string>(),
                         told["worker"].get<std::string>()));
  } else {
    out.line(out.paint(place_text(told["place"]), Tone::good) + ", incarnation " +
             text(told["place"], "incarnation"));
    print_facts(out, told);
    print_ledger(out, told);
    print_outgoing(out, told["outbox"], "published by the outbox");
    print_outgoing(out, told["copies"], "copies: replays, hand-overs, dead letters");
    print_outgoing(out, told["caused"], "caused, as far as the outbox keeps it");
    Rows rows;
    for (const Json& other : told["same_key"])
      rows.push_back({place_text(other), text(other, "found_in"), text(other, "at")});
    print_list(out, "same idempotency key", {"place", "in", "at"}, rows);
    rows.clear();
    for (const Json& header : told["headers"])
      if (header.is_array() && header.size() >= 2)
        rows.push_back(
            {header[0].get<std::string>(), header[1].is_string() ? header[1].get<std::string>() : "(bytes)"});
    print_list(out, "headers", {"name", "value"}, rows);
    if (const auto payload = told.find("payload"); payload != told.end())
      out.line(payload->get<std::string>());
  }
  for (const Json& searched : told["searched"])
    out.line(fmt::format("searched {} from {} to {}", text(searched, "stream"), text(searched, "from"),
                         text(searched, "to")));
  for (const Json& note : told["notes"]) out.line("note: " + note.get<std::string>());
}

int run_explain(const Shell& shell, const Options& options) {
  const Settings settings = shell.load_settings().values;
  postgres::Session session(settings.postgres.url, settings.postgres.password, "cutover explain");
  JetStream jetstream(settings);
  const Json told = explain(settings.worker(options.worker), options.request, session, jetstream);
  Output out = shell.output();
  if (out.json())
    out.document(told);
  else
    print(out, told);
  if (told["place"].is_null()) return kInconclusive;
  return told["class"] == "stranded" ? kDifferent : kFine;
}

}  // namespace

void add_explain(Shell& shell) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = shell.add(
      shell.app(), "explain",
      "Tell the story of one event: who owned it, what became of it, what it caused; exit 2 if not found",
      "cutover explain search-projector CONTACT/1",
      [&shell, options] { return run_explain(shell, *options); });
  std::vector<std::string> names;
  for (const WorkerSpec& worker : shell.workers()) names.push_back(worker.name);
  command->add_option("worker", options->worker, "Its name")->required()->check(CLI::IsMember(names));
  command->add_option("event", options->request.event, "An event id, or STREAM/SEQUENCE")->required();
  command
      ->add_option("--scan", options->request.scan_max,
                   "How many sequences of each stream to search for an event id; 200000 unless told")
      ->type_name("N")
      ->check(CLI::Range(std::uint64_t{1}, kToTheEnd));
  command->add_flag("--payload", options->request.payload, "Show the message's body, too");
}

}  // namespace cutover::cli
