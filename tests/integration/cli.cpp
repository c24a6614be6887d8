#include "integration/cli.h"

#include <sstream>

namespace cutover::test {
namespace {

std::vector<std::string> subcommands(const std::string& help) {
  std::vector<std::string> names;
  std::istringstream lines(help);
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line == "Subcommands:")
      inside = true;
    else if (inside && line.starts_with("  ") && line[2] != ' ')
      names.push_back(line.substr(2, line.find(' ', 2) - 2));
    else if (inside && line.empty())
      break;
  }
  return names;
}

void collect(const std::vector<std::string>& command, std::vector<std::vector<std::string>>& all) {
  all.push_back(command);
  for (const std::string& name : subcommands(help_of(command))) {
    auto deeper = command;
    deeper.push_back(name);
    collect(deeper, all);
  }
}

}  // namespace

std::string help_of(std::vector<std::string> command) {
  command.emplace_back("--help");
  return run_cutover(command).out;
}

std::vector<std::vector<std::string>> all_commands() {
  std::vector<std::vector<std::string>> all;
  collect({}, all);
  return all;
}

std::string example_of(const std::vector<std::string>& command) {
  const std::string help = help_of(command);
  constexpr std::string_view kTitle = "Example:\n  ";
  const auto at = help.find(kTitle);
  if (at == std::string::npos) return {};
  std::string example = help.substr(at + kTitle.size());
  while (!example.empty() && example.back() == '\n') example.pop_back();
  return example;
}

}  // namespace cutover::test
