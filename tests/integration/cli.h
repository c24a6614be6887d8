#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "fixtures/process.h"

namespace cutover::test {

inline const std::string kCutover = CUTOVER_BINARY_DIR "/runtime/cli/cutover";

inline std::vector<std::string> cutover_command(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), kCutover);
  return arguments;
}

// Runs the real program to its end.
inline Ended run_cutover(const std::vector<std::string>& arguments,
                         const Process::Environment& environment = {}) {
  return run(cutover_command(arguments), environment);
}

// Every command as its words: {}, {"config"}, {"streams"}, {"streams", "plan"}, ...; read from the help
// texts.
std::vector<std::vector<std::string>> all_commands();

// The help text of a command, and the example at its end.
std::string help_of(std::vector<std::string> command);
std::string example_of(const std::vector<std::string>& command);

}  // namespace cutover::test
