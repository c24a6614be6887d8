#include "runtime/cli/completion.h"

#include <cstdio>
#include <memory>
#include <string>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace cutover::cli;
using Catch::Matchers::ContainsSubstring;

namespace {

// cutover [--set V] [--json] { run [worker...] [--no-relay] | streams { plan | apply [--allow-destructive] }
// }
struct Tree {
  Tree() {
    app.name("cutover");
    app.add_option("--set", text, "one setting; `config` lists all");
    app.add_flag("--json", flag, "it's JSON");
    CLI::App* run = app.add_subcommand("run", "runs");
    run->add_option("worker", words, "names");
    run->add_flag("--no-relay", flag, "no relay");
    CLI::App* streams = app.add_subcommand("streams", "topology");
    streams->add_subcommand("plan", "shows");
    streams->add_subcommand("apply", "does")->add_flag("--allow-destructive", flag, "danger");
  }
  std::vector<CompletionEntry> entries() const { return completion_entries(app, {"search-projector"}); }

  CLI::App app;
  std::string text;
  bool flag = false;
  std::vector<std::string> words;
};

std::string shell_output(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), &::pclose);
  std::string out;
  char bytes[256];
  while (const auto count = std::fread(bytes, 1, sizeof bytes, pipe.get())) out.append(bytes, count);
  return out;
}

// What bash offers for the last of `words`, one space between each.
std::string bash_offers(const std::string& words) {
  const std::string script = completion_script("bash", Tree().entries());
  return shell_output("bash --norc -c '" +
                      [&] {
                        std::string quoted;
                        for (const char c : script)
                          quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
                        return quoted;
                      }() +
                      "\nCOMP_WORDS=(" + words +
                      "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _cutover; echo \"${COMPREPLY[*]}\"'");
}

}  // namespace

TEST_CASE("bash completes commands, subcommands, options and workers", "[completion]") {
  CHECK(bash_offers("cutover st") == "streams\n");
  CHECK(bash_offers("cutover streams p") == "plan\n");
  CHECK(bash_offers("cutover streams apply --a") == "--allow-destructive\n");
  CHECK(bash_offers("cutover run s") == "search-projector\n");
  CHECK(bash_offers("cutover run --no") == "--no-relay\n");
}

TEST_CASE("bash finds the command behind options, and offers nothing for an option's value", "[completion]") {
  CHECK(bash_offers("cutover --json streams a") == "apply\n");
  CHECK(bash_offers("cutover --set x=1 streams a") == "apply\n");
  CHECK(bash_offers("cutover --set ru") == "\n");
}

TEST_CASE("every shell gets every word, and no description can end a quote", "[completion]") {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = completion_script(shell, Tree().entries());
    for (const char* word : {"streams", "plan", "search-projector"})
      CHECK_THAT(script, ContainsSubstring(word));
    CHECK_THAT(script, ContainsSubstring("allow-destructive") && !ContainsSubstring("it's"));
  }
}

TEST_CASE("another shell is refused", "[completion]") {
  CHECK_THROWS_AS(completion_script("tcsh", Tree().entries()), std::invalid_argument);
}
