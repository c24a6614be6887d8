#include <memory>

#include <fmt/format.h>

#include "runtime/cli/commands.h"
#include "runtime/cli/ownership.h"
#include "runtime/postgres/headers.h"
#include "runtime/postgres/ownership.h"

namespace cutover::cli {
namespace {

struct Operation {
  std::string at, actor, login, command, reason, result;
  Json arguments, forced, detail;
};

constexpr const char* kOperations = R"sql(
SELECT at, actor, login, command, reason, result, arguments::text, to_json(forced)::text, detail::text
FROM cutover.operator_log WHERE worker = $1::text OR worker IS NULL ORDER BY log_id)sql";

Json parsed(std::string_view text) {
  return Json::parse(text, nullptr, false);
}

std::vector<Operation> read_operations(postgres::Connection& database, const std::string& worker) {
  const auto rows = database.run(kOperations, {std::string_view(worker)});
  std::vector<Operation> all;
  for (std::size_t i = 0; i < rows->size(); ++i)
    all.push_back({std::string(rows->text(i, 0)), std::string(rows->text(i, 1)),
                   std::string(rows->text(i, 2)), std::string(rows->text(i, 3)),
                   std::string(rows->text(i, 4)), std::string(rows->text(i, 5)), parsed(rows->text(i, 6)),
                   parsed(rows->text(i, 7)), parsed(rows->text(i, 8))});
  return all;
}

std::string mode_text(const Segment& segment) {
  Standing standing;
  standing.stage = stage_of(segment.mode);
  standing.percent_hundredths = segment.percent_hundredths;
  return to_text(standing);
}

Json as_json(const std::vector<postgres::SegmentRow>& segments, const std::vector<Operation>& operations) {
  Json document = {{"segments", Json::array()}, {"operations", Json::array()}};
  for (const auto& row : segments)
    document["segments"].push_back({{"epoch", row.segment.epoch},
                                    {"stream", row.stream},
                                    {"incarnation", row.segment.incarnation},
                                    {"from_sequence", row.segment.from_sequence},
                                    {"mode", postgres::to_text(row.segment.mode)},
                                    {"percent", percent_text(row.segment.percent_hundredths)},
                                    {"actor", row.actor},
                                    {"reason", row.reason},
                                    {"at", postgres::timestamp_text(row.at)}});
  for (const Operation& o : operations)
    document["operations"].push_back({{"at", o.at},
                                      {"actor", o.actor},
                                      {"login", o.login},
                                      {"command", o.command},
                                      {"arguments", o.arguments},
                                      {"reason", o.reason},
                                      {"forced", o.forced},
                                      {"result", o.result},
                                      {"detail", o.detail}});
  return document;
}

void print(Output& out, const std::vector<postgres::SegmentRow>& segments,
           const std::vector<Operation>& operations) {
  std::vector<std::vector<Cell>> rows;
  for (const auto& row : segments)
    rows.push_back({std::to_string(row.segment.epoch), row.stream, std::to_string(row.segment.incarnation),
                    std::to_string(row.segment.from_sequence), mode_text(row.segment),
                    postgres::timestamp_text(row.at), row.actor, row.reason});
  if (rows.empty())
    out.line("Nothing was ever decided about it.");
  else
    out.table({"epoch", "stream", "incarnation", "from sequence", "stage", "at", "by", "reason"}, rows);
  if (operations.empty()) return;
  out.line();
  rows.clear();
  for (const Operation& o : operations) {
    std::string forced;
    for (const auto& guard : o.forced) forced += (forced.empty() ? "" : ", ") + guard.get<std::string>();
    rows.push_back({o.at, o.command, Cell(o.result, o.result == "done" ? Tone::good : Tone::warn), o.actor,
                    o.login, Cell(forced, Tone::warn), o.reason});
  }
  out.table({"at", "command", "result", "by", "login", "forced", "reason"}, rows);
}

int run_history(const Shell& shell, const std::string& worker) {
  const Settings settings = shell.load_settings().values;
  const auto database = connect_database(settings, "history");
  const auto segments = postgres::read_segments(*database, worker);
  const auto operations = read_operations(*database, worker);
  Output out = shell.output();
  if (out.json())
    out.document(as_json(segments, operations));
  else
    print(out, segments, operations);
  return kFine;
}

}  // namespace

void add_history(Shell& shell) {
  const auto worker = std::make_shared<std::string>();
  CLI::App* command =
      shell.add(shell.app(), "history", "Show every change of a worker's ownership, and what operators did",
                "cutover history search-projector", [&shell, worker] { return run_history(shell, *worker); });
  std::vector<std::string> names;
  for (const WorkerSpec& spec : shell.workers()) names.push_back(spec.name);
  command->add_option("worker", *worker, "Its name")->required()->check(CLI::IsMember(names));
}

}  // namespace cutover::cli
