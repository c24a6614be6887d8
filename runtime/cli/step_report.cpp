#include "runtime/cli/step_report.h"

#include <fmt/format.h>

namespace cutover::cli {
namespace {

using Result = StepReport::Result;

constexpr const char* kResults[] = {"done", "unchanged", "would do", "refused", "incomplete"};
constexpr Tone kTones[] = {Tone::good, Tone::plain, Tone::plain, Tone::bad, Tone::warn};

std::string_view state_of(const Guard& guard) {
  if (guard.passed) return "ok";
  return guard.forced ? "forced" : "refuses";
}

void print_guards(Output& out, const std::vector<Guard>& guards) {
  std::vector<std::vector<Cell>> rows;
  for (const Guard& guard : guards)
    rows.push_back({Cell(std::string(state_of(guard)), guard.passed   ? Tone::good
                                                       : guard.forced ? Tone::warn
                                                                      : Tone::bad),
                    guard.name, guard.text});
  if (!rows.empty()) out.table({"", "guard", "found"}, rows);
  for (const Guard& guard : guards)
    if (guard.stops())
      out.line(fmt::format("{} {}{}", out.paint(guard.name + ":", Tone::bad), guard.what_to_do,
                           guard.forceable ? "" : " (It cannot be forced.)"));
}

void print_segments(Output& out, const std::vector<postgres::AppendedSegment>& segments,
                    const std::string& after) {
  std::vector<std::vector<Cell>> rows;
  for (const auto& s : segments)
    rows.push_back({"  " + s.stream, std::to_string(s.incarnation), std::to_string(s.epoch),
                    std::to_string(s.from_sequence), after});
  if (!rows.empty()) out.table({"  stream", "incarnation", "epoch", "from sequence", "stage"}, rows);
}

}  // namespace

std::string stopping(const std::vector<Guard>& guards) {
  std::string names;
  for (const Guard& guard : guards)
    if (guard.stops()) names += (names.empty() ? "" : ", ") + guard.name;
  return names;
}

Json as_json(const StepReport& r) {
  Json guards = Json::array();
  for (const Guard& g : r.guards)
    guards.push_back({{"name", g.name},
                      {"state", state_of(g)},
                      {"forceable", g.forceable},
                      {"found", g.text},
                      {"do", g.what_to_do}});
  Json segments = Json::array();
  for (const auto& s : r.segments)
    segments.push_back({{"stream", s.stream},
                        {"incarnation", s.incarnation},
                        {"epoch", s.epoch},
                        {"from_sequence", s.from_sequence},
                        {"behind", s.behind}});
  Json document = {{"command", r.command},
                   {"worker", r.worker},
                   {"result", kResults[static_cast<int>(r.result)]},
                   {"dry_run", r.result == Result::would_do},
                   {"before", r.before},
                   {"after", r.after},
                   {"steps", r.steps},
                   {"guards", guards},
                   {"segments", segments},
                   {"held_milliseconds", r.held_milliseconds},
                   {"terminated", r.terminated},
                   {"warnings", r.warnings},
                   {"next", r.next}};
  document.update(r.more);
  return document;
}

void print(Output& out, const StepReport& r) {
  if (out.json()) {
    out.document(as_json(r));
    return;
  }
  print_guards(out, r.guards);
  if (r.result == Result::would_do)
    for (std::size_t i = 0; i < r.steps.size(); ++i) out.line(fmt::format("  {}. {}", i + 1, r.steps[i]));
  print_segments(out, r.segments, r.after);
  for (const std::string& ended : r.terminated) out.line(out.paint("ended: ", Tone::warn) + ended);
  for (const std::string& warning : r.warnings) out.line(out.paint("warning: ", Tone::warn) + warning);
  const std::string result =
      out.paint(kResults[static_cast<int>(r.result)], kTones[static_cast<int>(r.result)]);
  std::string what = fmt::format("{}: {} {}", result, r.command, r.worker);
  if (r.before != r.after)
    what += fmt::format(", {} -> {}", r.before, r.after);
  else
    what += fmt::format(", stage {}", r.after);
  for (const auto& [name, value] : r.more.items())
    if (value.is_number() || value.is_string())
      what += fmt::format(", {} {}", name, value.is_string() ? value.get<std::string>() : value.dump());
  if (!r.segments.empty()) what += fmt::format("; batches waited for {:.1f} ms", r.held_milliseconds);
  out.line(what);
  if (r.next.empty()) return;
  out.line("Next:");
  for (const std::string& command : r.next) out.line("  " + command);
}

}  // namespace cutover::cli
