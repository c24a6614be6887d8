#include "runtime/cli/commands.h"

int main(int argc, char** argv) {
  using namespace cutover;
  cli::Shell shell({});
  cli::add_run(shell);
  cli::add_relay(shell);
  cli::add_streams(shell);
  cli::add_doctor(shell);
  cli::add_config(shell);
  cli::add_status(shell);
  cli::add_version(shell);
  cli::add_completion(shell);
  return shell.main(argc, argv);
}
