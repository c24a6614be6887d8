#include "runtime/cli/completion.h"

#include <iostream>
#include <memory>
#include <stdexcept>

#include <fmt/format.h>

#include "runtime/cli/commands.h"

namespace cutover::cli {
namespace {

void collect(const CLI::App& app, const std::string& path, const std::vector<std::string>& workers,
             std::vector<CompletionEntry>& entries) {
  CompletionEntry entry{path, {}};
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    entry.words.push_back({sub->get_name(), sub->get_description()});
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames())
      entry.words.push_back({"--" + name, option->get_description(), option->get_items_expected_max() > 0});
    if (option->get_positional() && option->get_name(true) == "worker")
      for (const std::string& worker : workers) entry.words.push_back({worker, "worker"});
  }
  entries.push_back(std::move(entry));
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    collect(*sub, path + " " + sub->get_name(), workers, entries);
}

// For single quotes in all three shells: the quote itself is left out, descriptions lose nothing by it.
std::string quotable(std::string_view text) {
  std::string out;
  for (const char c : text)
    if (c != '\'' && c != '\n') out += c == '`' ? '"' : c;
  return out;
}

// Which command the words typed so far name: options are skipped, with their values.
std::string bash_script(const std::vector<CompletionEntry>& entries) {
  std::string paths;
  std::string cases;
  std::string valued;
  for (const CompletionEntry& entry : entries) {
    std::string words;
    for (const auto& word : entry.words) words += (words.empty() ? "" : " ") + word.text;
    paths += fmt::format("    '{}') ;;\n", entry.path);
    cases += fmt::format("    '{}') words='{}' ;;\n", entry.path, words);
  }
  for (const auto& word : entries.front().words)
    if (word.takes_value) valued += (valued.empty() ? "" : "|") + word.text;
  return fmt::format(R"(# bash completion for cutover: source <(cutover completion bash)
_cutover_is_command() {{
  case "$1" in
{}    *) return 1 ;;
  esac
}}
_cutover() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} command=cutover words='' i
  case "$previous" in
    --config) COMPREPLY=($(compgen -f -- "$current")); return ;;
    {}) return ;;
  esac
  for ((i = 1; i < COMP_CWORD; ++i)); do
    if _cutover_is_command "$command ${{COMP_WORDS[i]}}"; then command="$command ${{COMP_WORDS[i]}}"; fi
  done
  case "$command" in
{}  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -F _cutover cutover
)",
                     paths, valued, cases);
}

std::string zsh_script(const std::vector<CompletionEntry>& entries) {
  std::string cases;
  for (const CompletionEntry& entry : entries) {
    cases += fmt::format("    '{}')\n      words_here=(\n", entry.path);
    for (const auto& word : entry.words)
      cases += fmt::format("        '{}:{}'\n", word.text, quotable(word.description));
    cases += "      ) ;;\n";
  }
  std::string paths;
  for (const CompletionEntry& entry : entries) paths += fmt::format(" '{}'", entry.path);
  return fmt::format(R"(#compdef cutover
# zsh completion for cutover: source <(cutover completion zsh)
_cutover() {{
  local command=cutover word
  local -a words_here commands
  commands=({} )
  for word in ${{words[2,CURRENT-1]}}; do
    if (( ${{commands[(Ie)$command $word]}} )); then command="$command $word"; fi
  done
  if [[ ${{words[CURRENT-1]}} == --config ]]; then _files; return; fi
  case "$command" in
{}  esac
  _describe 'cutover' words_here
}}
compdef _cutover cutover
)",
                     paths, cases);
}

std::string fish_script(const std::vector<CompletionEntry>& entries) {
  std::string paths;
  for (const CompletionEntry& entry : entries) paths += fmt::format(" '{}'", entry.path);
  std::string lines;
  for (const CompletionEntry& entry : entries) {
    for (const auto& word : entry.words) {
      const bool option = word.text.starts_with("--");
      const std::string what =
          option ? fmt::format("-l '{}'{}", word.text.substr(2), word.takes_value ? " -r" : "")
                 : fmt::format("-a '{}'", word.text);
      const bool file = word.text == "--config";
      lines += fmt::format("complete -c cutover {}-n 'test (__cutover_command) = \"{}\"' {} -d '{}'\n",
                           file ? "" : "-f ", entry.path, what, quotable(word.description));
    }
  }
  return fmt::format(R"(# fish completion for cutover: cutover completion fish | source
function __cutover_command
  set -l known{}
  set -l command cutover
  for word in (commandline -opc)[2..-1]
    if contains -- "$command $word" $known
      set command "$command $word"
    end
  end
  echo $command
end
{})",
                     paths, lines);
}

}  // namespace

std::vector<CompletionEntry> completion_entries(const CLI::App& app,
                                                const std::vector<std::string>& workers) {
  std::vector<CompletionEntry> entries;
  collect(app, app.get_name(), workers, entries);
  return entries;
}

std::string completion_script(std::string_view shell, const std::vector<CompletionEntry>& entries) {
  if (shell == "bash") return bash_script(entries);
  if (shell == "zsh") return zsh_script(entries);
  if (shell == "fish") return fish_script(entries);
  throw std::invalid_argument(fmt::format("no completion for the shell {}", shell));
}

void add_completion(Shell& shell) {
  const auto name = std::make_shared<std::string>();
  CLI::App* command = shell.add(shell.app(), "completion", "Print the completion script of a shell",
                                "source <(cutover completion bash)", [&shell, name] {
                                  std::vector<std::string> workers;
                                  for (const WorkerSpec& worker : shell.workers())
                                    workers.push_back(worker.name);
                                  std::cout
                                      << completion_script(*name, completion_entries(shell.app(), workers));
                                  return kFine;
                                });
  command->add_option("shell", *name, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
}

}  // namespace cutover::cli
