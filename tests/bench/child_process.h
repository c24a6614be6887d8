#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace cutover::bench {

// One measured program. It is killed with this object, and dies with this process.
class ChildProcess {
 public:
  // Starts argv[0] with its standard output captured and its standard error passed through.
  // Throws std::runtime_error.
  explicit ChildProcess(std::vector<std::string> argv);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // SIGTERM. Does nothing when it has ended.
  void terminate();
  // Waits for one line of output and returns it without its end.
  // Throws std::runtime_error at the deadline, or when the program ends without one.
  std::string read_line(std::chrono::milliseconds limit);
  // Waits for the end. Throws std::runtime_error when the exit status is not 0, or after `limit`.
  void wait(std::chrono::milliseconds limit);
  bool running();

 private:
  bool reap(bool block);

  const std::string name_;
  pid_t pid_ = -1;
  int output_ = -1;
  int status_ = 0;
  bool ended_ = false;
  std::string buffered_;
};

}  // namespace cutover::bench
