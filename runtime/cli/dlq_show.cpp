#include <fmt/format.h>

#include "runtime/cli/dlq.h"
#include "runtime/cli/json_changes.h"
#include "runtime/postgres/dead_letters.h"
#include "runtime/postgres/event_history.h"

namespace cutover::cli {
namespace {

using Rows = std::vector<std::vector<Cell>>;

struct Options {
  std::int64_t letter = 0;
  bool payload = false;
};

// What happened to the letter, the oldest first: failures, edits, drop, import.
Rows life_of(const Json& letter) {
  Rows rows;
  for (const Json& entry : letter["history"]) {
    std::string what = "failed: " + text_of(entry, "kind"),
                by = text_of(entry, "instance") + ", build " + text_of(entry, "build"),
                why = shortened(text_of(entry, "error"), 200);
    if (const auto deed = deed_of(entry)) what = deed->what, by = deed->by, why = deed->why;
    rows.push_back(
        {short_time(entry["at"]), what, entry.contains("attempts") ? entry["attempts"].dump() : "", by, why});
  }
  return rows;
}

Rows plans_of(const Json& letter) {
  Rows rows;
  for (const Json& p : letter["plans"])
    rows.push_back({p["plan"].dump(), p["sent_at"].is_null() ? "waits" : short_time(p["sent_at"]),
                    p["publications"].dump(),
                    p["outcome"] == "changed" ? "passed over: it had changed" : text_of(p, "outcome"),
                    short_time(p["settled_at"])});
  return rows;
}

void print_section(Output& out, const std::string& title, std::vector<std::string> titles, Rows rows) {
  if (rows.empty()) return;
  out.line();
  out.line(out.paint(title, Tone::plain));
  titles.front() = "  " + titles.front();
  for (auto& row : rows) row.front().text = "  " + row.front().text;
  out.table(titles, rows);
}

void print_payload(Output& out, const std::string& title, const std::string& bytes) {
  out.line();
  out.line(fmt::format("{}, {} bytes", title, bytes.size()));
  const std::string text = indented_json(bytes);
  for (std::size_t from = 0; from <= text.size();) {
    const std::size_t end = std::min(text.find('\n', from), text.size());
    out.foreign_line("  " + text.substr(from, end - from));
    from = end + 1;
  }
}

void print(Output& out, const Json& letter, const Json& told, const postgres::DeadLetters::Payload& payload,
           bool with_payload) {
  const std::string id = letter["letter"].dump();
  out.line(
      fmt::format("dead letter {}: {}{}", id,
                  out.paint(text_of(letter, "state"), letter["state"] == "open" ? Tone::warn : Tone::good),
                  letter["result"].is_null() ? "" : " (" + text_of(letter, "result") + ")"));
  const std::pair<const char*, std::string> facts[] = {
      {"group", text_of(letter, "group")},
      {"given up by", fmt::format("{}, lane {}, the {}'s side", text_of(letter, "worker"),
                                  text_of(letter, "lane"), text_of(letter, "side"))},
      {"because", fmt::format("{}: {}", text_of(letter, "kind"), text_of(letter, "error"))},
      {"attempts", letter["attempts"].dump()},
      {"event", fmt::format("{}, {}", text_of(letter, "event_name"), text_of(letter, "event_id"))},
      {"subject", text_of(letter, "subject")},
      {"key", fmt::format("{}{}", text_of(letter, "key"),
                          letter["version"] == 0 ? "" : ", version " + letter["version"].dump())},
      {"work", fmt::format("{}, {}", text_of(letter, "tenant_scope"), text_of(letter, "idempotency_key"))},
      {"place",
       fmt::format("{}/{}{}", text_of(letter, "stream"), letter["sequence"].dump(),
                   letter["incarnation"] == 1 ? "" : ", incarnation " + letter["incarnation"].dump())},
      {"published", short_time(letter["published_at"])}};
  for (const auto& [name, value] : facts) out.foreign_line(fmt::format("  {:<12}{}", name, value));

  Rows headers;
  for (const Json& h : letter["headers"])
    headers.push_back({h[0].get<std::string>(),
                       h[1].is_null() ? "base64 " + h[2].get<std::string>() : h[1].get<std::string>()});
  print_section(out, "headers", {"name", "value"}, headers);
  print_section(out, "what happened to it", {"at", "what", "attempts", "by", "why"}, life_of(letter));
  print_section(out, "replays", {"plan", "sent", "times", "outcome", "settled"}, plans_of(letter));
  Rows settled;
  for (const Json& s : told["settlements"])
    settled.push_back({short_time(s["settled_at"]), text_of(s, "side"), text_of(s, "class"),
                       s["this_event"] == false ? "for another event at this place" : ""});
  print_section(out, "the ledger", {"at", "side", "class", ""}, settled);
  Rows same;
  for (const Json& s : told["same_key"])
    same.push_back({fmt::format("{}/{}", text_of(s, "stream"), text_of(s, "sequence")),
                    text_of(s, "found_in"), short_time(s["at"])});
  print_section(out, "who has its idempotency key", {"place", "found in", "at"}, same);

  if (with_payload) {
    if (!payload.original.empty()) {
      Rows rows;
      for (const JsonChange& c : json_changes(payload.original, payload.sent))
        rows.push_back(change_cells(c));
      print_section(out, "edited", {"field", "original, never sent again", "edited, sent by a replay"}, rows);
      print_payload(out, "original payload", payload.original);
    }
    print_payload(out, payload.original.empty() ? "payload" : "edited payload", payload.sent);
  }
  out.line();
  if (!with_payload)
    out.line(fmt::format("Its payload of {} bytes: --payload", letter["payload_bytes"].dump()));
  out.line(fmt::format("Next: cutover explain {} {}/{}{}", text_of(letter, "worker"),
                       text_of(letter, "stream"), letter["sequence"].dump(),
                       letter["state"] == "open"
                           ? fmt::format("    cutover dlq replay --letter {} --plan --reason TEXT", id)
                           : ""));
}

int run_show(const Shell& shell, const Options& options) {
  const auto session = open_session(shell, "dlq show");
  postgres::DeadLetters letters(*session);
  Json letter = letters.letter(options.letter);
  if (letter.is_null())
    throw CommandError(fmt::format("there is no dead letter {}. Do: `cutover dlq ls --state all` lists them.",
                                   options.letter),
                       kDifferent);
  postgres::EventHistory history(*session, letter["worker"]);
  const auto stream = letter["stream_id"].get<std::int64_t>();
  const auto sequence = letter["sequence"].get<std::uint64_t>();
  Json told = {{"settlements", history.settlements(stream, sequence, letter["event_id"])},
               {"attempts", history.attempts(stream, sequence)},
               {"same_key", letter["idempotency_key"] == ""
                                ? Json::array()
                                : history.same_key(letter["tenant_scope"], letter["idempotency_key"])}};
  postgres::DeadLetters::Payload payload;
  if (options.payload) payload = letters.payload(options.letter);
  Output out = shell.output();
  if (!out.json()) {
    print(out, letter, told, payload, options.payload);
    return kFine;
  }
  letter.erase("stream_id");
  letter.update(told);
  if (options.payload) {
    letter["payload"] = payload.sent;
    letter["original"] = payload.original.empty() ? Json(nullptr) : Json(payload.original);
  }
  out.document(letter);
  return kFine;
}

}  // namespace

void add_dlq_show(Shell& shell, CLI::App& dlq) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      shell.add(dlq, "show", "One letter: its event, headers and whole life",
                "cutover dlq show 4711 --payload", [&shell, options] { return run_show(shell, *options); });
  command->add_option("letter", options->letter, "Its number, as `cutover dlq ls` lists it")
      ->required()
      ->type_name("LETTER");
  command->add_flag("--payload", options->payload,
                    "Its payload, too: what was received, and what an edit made of it");
}

}  // namespace cutover::cli
