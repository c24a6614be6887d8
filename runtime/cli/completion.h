#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

namespace cutover::cli {

// A command and what may follow it, for shell completion.
struct CompletionEntry {
  std::string path;  // "cutover streams plan"
  struct Word {
    std::string text;  // a subcommand, an option with its dashes, or a worker's name
    std::string description;
    bool takes_value = false;
  };
  std::vector<Word> words;
};

// Every command of the tree below `app`, itself first.
//   workers   names that may follow a command which takes workers
std::vector<CompletionEntry> completion_entries(const CLI::App& app, const std::vector<std::string>& workers);

// The completion script of a shell: bash, zsh or fish. Throws std::invalid_argument for another one.
std::string completion_script(std::string_view shell, const std::vector<CompletionEntry>& entries);

}  // namespace cutover::cli
