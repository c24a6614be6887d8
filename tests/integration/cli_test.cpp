// The program without any server: arguments, settings, output, exit codes.
#include "integration/cli.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace cutover::test;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Equals;
using nlohmann::json;

namespace {

std::string file_with(std::string_view text) {
  std::string name = (std::filesystem::temp_directory_path() / "cutover-cli-XXXXXX").string();
  ::close(::mkstemp(name.data()));
  std::ofstream(name) << text;
  return name;
}

struct Temporary {
  explicit Temporary(std::string_view text) : path(file_with(text)) {}
  ~Temporary() { std::filesystem::remove(path); }
  std::string path;
};

}  // namespace

TEST_CASE("a bad value stops the program with key, value, source, what is accepted, and exit code 3",
          "[cli]") {
  const Temporary file("[run]\nbatch_max = 0\n");
  const Ended ended = run_cutover({"config", "--config", file.path});
  CHECK(ended.code == 3);
  CHECK(ended.out.empty());
  CHECK_THAT(ended.err, Equals("error: run.batch_max = \"0\" is not accepted (" + file.path +
                               ":2). Do: give 1 to 8192.\n"));
}

TEST_CASE("an unknown key stops the program, whatever the command", "[cli]") {
  const auto* command = GENERATE("config", "doctor", "status", "relay");
  const Ended ended = run_cutover({command}, {{"CUTOVER_RUN_BATCHMAX", "5"}});
  CHECK(ended.code == 3);
  CHECK(ended.out.empty());
  CHECK_THAT(ended.err, ContainsSubstring("error: the variable CUTOVER_RUN_BATCHMAX sets nothing") &&
                            ContainsSubstring("CUTOVER_RUN_BATCH_MAX"));
}

TEST_CASE("every problem of the settings is one line", "[cli]") {
  const Ended ended =
      run_cutover({"config", "--set", "run.batch_max=x", "--set", "ops.port=-1", "--log-level", "loud"});
  CHECK(ended.code == 3);
  CHECK(std::count(ended.err.begin(), ended.err.end(), '\n') == 3);
}

TEST_CASE("mistakes in the arguments name the help that explains them", "[cli]") {
  const auto [arguments, what, help] = GENERATE(table<std::vector<std::string>, std::string, std::string>({
      {{"config", "--bogus"}, "--bogus", "`cutover config --help`"},
      {{"nope"}, "there is no command nope", "`cutover --help`"},
      {{}, "subcommand", "`cutover --help`"},
      {{"streams"}, "subcommand", "`cutover streams --help`"},
      {{"config", "--set", "novalue"}, "KEY=VALUE", "--set run.batch_max=256"},
      {{"config", "nothing.like.it"}, "nothing.like.it", "cutover config --keys"},
      {{"run", "no-such-worker"}, "no-such-worker", "`cutover run --help`"},
      {{"completion", "tcsh"}, "tcsh", "`cutover completion --help`"},
  }));
  const Ended ended = run_cutover(arguments);
  CHECK(ended.code == 3);
  CHECK(ended.out.empty());
  CHECK_THAT(ended.err, ContainsSubstring("error: ") && ContainsSubstring(what) && ContainsSubstring(help));
}

TEST_CASE("secrets are refused as flags and shown nowhere", "[cli]") {
  const auto arguments = GENERATE(values<std::vector<std::string>>({
      {"config", "--set", "postgres.password=hunter2"},
      {"config", "--postgres", "postgresql://me:hunter2@db/x"},
      {"config", "--nats", "nats://me:hunter2@a:4222"},
  }));
  const Ended ended = run_cutover(arguments);
  CHECK(ended.code == 3);
  CHECK_THAT(ended.err, ContainsSubstring("may not carry a secret"));
  CHECK_THAT(ended.out + ended.err, !ContainsSubstring("hunter2"));
}

TEST_CASE("config masks the secrets of the environment, in text and in JSON", "[cli]") {
  const Process::Environment secrets = {{"CUTOVER_POSTGRES_URL", "postgresql://me:hunter2@db/x"},
                                        {"CUTOVER_NATS_SERVERS", "nats://hunter2@a:4222"}};
  for (const auto& arguments :
       {std::vector<std::string>{"config"}, {"config", "--json"}, {"config", "--keys"}}) {
    const Ended ended = run_cutover(arguments, secrets);
    CHECK(ended.code == 0);
    CHECK_THAT(ended.out, !ContainsSubstring("hunter2"));
  }
  CHECK_THAT(run_cutover({"config"}, secrets).out, ContainsSubstring("postgresql://me:***@db/x"));
}

TEST_CASE("config says where each value comes from, and later sources win", "[cli]") {
  const Temporary file("run.batch_max = 1\nrun.drain_timeout = \"1s\"\nretry.max = 1\n");
  const Ended ended = run_cutover(
      {"config", "run", "retry.max", "--json", "--set", "run.batch_max=3"},
      {{"CUTOVER_CONFIG", file.path}, {"CUTOVER_RUN_BATCH_MAX", "2"}, {"CUTOVER_RETRY_MAX", "2"}});
  REQUIRE(ended.code == 0);
  std::map<std::string, json> lines;
  for (const json& line : json::parse(ended.out)) lines[line["key"]] = line;
  CHECK(lines["run.batch_max"]["value"] == "3");
  CHECK(lines["run.batch_max"]["source"] == "--set");
  CHECK(lines["retry.max"]["source"] == "CUTOVER_RETRY_MAX");
  CHECK(lines["run.drain_timeout"]["source"] == file.path + ":2");
  CHECK(lines["run.in_process_relay"]["source"] == "default");
  CHECK_FALSE(lines.contains("ops.port"));
}

TEST_CASE("shared options may stand before and behind the command, and add up", "[cli]") {
  const Ended ended =
      run_cutover({"--json", "--set", "run.batch_max=7", "config", "run", "--set", "run.drain_timeout=9s"});
  REQUIRE(ended.code == 0);
  CHECK_THAT(ended.out, ContainsSubstring("\"7\"") && ContainsSubstring("\"9s\""));
}

TEST_CASE("the help of every command ends with one example of it", "[cli]") {
  const auto commands = all_commands();
  CHECK(commands.size() >= 11);
  for (const auto& command : commands) {
    const std::string example = example_of(command);
    INFO(example);
    auto at = example.find("cutover ");
    for (const std::string& word : command)  // a worker's name may stand between them
      if (at != std::string::npos) at = example.find(" " + word, at);
    CHECK(at != std::string::npos);
    CHECK(example.find('\n') == std::string::npos);
  }
}

TEST_CASE("every command that does something takes --json and --config", "[cli]") {
  for (const auto& command : all_commands()) {
    const std::string help = help_of(command);
    if (help.find("SUBCOMMAND") != std::string::npos && !command.empty()) continue;
    INFO(help);
    CHECK_THAT(help, ContainsSubstring("--json") && ContainsSubstring("--config FILE"));
  }
}

TEST_CASE("version prints one line, or JSON", "[cli]") {
  CHECK_THAT(run_cutover({"version"}).out, ContainsSubstring("cutover 0."));
  const auto document = json::parse(run_cutover({"version", "--json"}).out);
  CHECK(document["version"].is_string());
  CHECK(document["revision"].is_string());
}

TEST_CASE("bash accepts the completion script and finds every command in it", "[cli]") {
  const Ended ended = run({"/usr/bin/env", "bash", "--norc", "-ec",
                           "source <(" + kCutover +
                               " completion bash); COMP_WORDS=(cutover streams ''); COMP_CWORD=2; _cutover; "
                               "echo ${COMPREPLY[@]}"});
  CHECK(ended.code == 0);
  CHECK(ended.out.starts_with("plan apply"));
}

TEST_CASE("there is colour on a terminal, none in a pipe and none with NO_COLOR", "[cli]") {
  const auto command = cutover_command({"config", "run"});
  CHECK_THAT(run(command).out, !ContainsSubstring("\x1b["));
  CHECK_THAT(Process(command, {{"TERM", "xterm"}}, true).wait().out, ContainsSubstring("\x1b["));
  CHECK_THAT(Process(command, {{"TERM", "xterm"}, {"NO_COLOR", "1"}}, true).wait().out,
             !ContainsSubstring("\x1b["));
  CHECK_THAT(Process(cutover_command({"config", "run", "--json"}), {{"TERM", "xterm"}}, true).wait().out,
             !ContainsSubstring("\x1b["));
}
