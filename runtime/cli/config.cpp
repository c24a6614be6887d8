#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include "runtime/cli/commands.h"

namespace cutover::cli {
namespace {

struct Options {
  std::vector<std::string> prefixes;
  bool keys = false;
};

std::vector<SettingLine> selected(const std::vector<SettingLine>& lines,
                                  const std::vector<std::string>& prefixes) {
  if (prefixes.empty()) return lines;
  std::vector<SettingLine> chosen;
  for (const std::string& prefix : prefixes) {
    const auto before = chosen.size();
    for (const SettingLine& line : lines)
      if (line.key == prefix || line.key.starts_with(prefix + ".")) chosen.push_back(line);
    if (chosen.size() == before)
      throw CommandError(
          fmt::format("no setting is called {} or begins with it. Do: see `cutover config --keys`.", prefix));
  }
  return chosen;
}

Json as_json(const SettingLine& line) {
  return {{"key", line.key},           {"value", line.value},
          {"source", line.source},     {"variable", variable_of(line.key)},
          {"type", line.type},         {"default", line.fallback},
          {"accepted", line.accepted}, {"description", line.description}};
}

int print_settings(const Shell& shell, const Options& options) {
  const auto lines = selected(shell.load_settings().lines, options.prefixes);
  Output out = shell.output();
  if (out.json()) {
    Json document = Json::array();
    for (const SettingLine& line : lines) document.push_back(as_json(line));
    out.document(document);
    return kFine;
  }
  if (options.keys) {
    for (const SettingLine& line : lines) {
      out.line(out.paint(line.key, Tone::good) + "  " + out.paint(variable_of(line.key), Tone::dim));
      out.line(fmt::format("    {}", line.description));
      out.line(fmt::format("    {}; {}; default {}", line.type, line.accepted,
                           line.fallback.empty() ? "nothing" : line.fallback));
    }
    return kFine;
  }
  std::vector<std::vector<Cell>> rows;
  for (const SettingLine& line : lines)
    rows.push_back({line.key, line.value.empty() ? Cell("-", Tone::dim) : Cell(line.value),
                    Cell(line.source, line.source == "default" ? Tone::dim : Tone::good)});
  out.table({"key", "value", "from"}, rows);
  return kFine;
}

}  // namespace

void add_config(Shell& shell) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      shell.add(shell.app(), "config", "Print every setting, where it comes from and what it means",
                "cutover config run outbox.keep --set run.batch_max=256",
                [&shell, options] { return print_settings(shell, *options); });
  command->add_option("key", options->prefixes, "Only these keys, and keys that begin with them");
  command->add_flag("--keys", options->keys, "Explain the keys: meaning, type, accepted values, default");
}

}  // namespace cutover::cli
