#include "tests/bench/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>

namespace cutover::bench {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

ChildProcess::ChildProcess(std::vector<std::string> argv)
    : name_(std::filesystem::path(argv.at(0)).filename().string()) {
  std::vector<char*> arguments;
  for (std::string& argument : argv) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0)
    throw std::runtime_error("pipe: " + std::string(std::strerror(errno)));
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("fork: " + std::string(std::strerror(errno)));
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(pipe_ends[1], STDOUT_FILENO);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  close(pipe_ends[1]);
  output_ = pipe_ends[0];
}

ChildProcess::~ChildProcess() {
  if (!ended_) {
    kill(pid_, SIGKILL);
    reap(true);
  }
  close(output_);
}

void ChildProcess::terminate() {
  if (running()) kill(pid_, SIGTERM);
}

bool ChildProcess::reap(bool block) {
  if (ended_) return true;
  pid_t got = 0;
  do got = waitpid(pid_, &status_, block ? 0 : WNOHANG);
  while (got < 0 && errno == EINTR);
  ended_ = got == pid_;
  return ended_;
}

bool ChildProcess::running() {
  return !reap(false);
}

std::string ChildProcess::read_line(std::chrono::milliseconds limit) {
  const Clock::time_point deadline = Clock::now() + limit;
  for (;;) {
    if (const auto end = buffered_.find('\n'); end != std::string::npos) {
      std::string line = buffered_.substr(0, end);
      buffered_.erase(0, end + 1);
      return line;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd readable{.fd = output_, .events = POLLIN, .revents = 0};
    if (left.count() <= 0 || poll(&readable, 1, static_cast<int>(left.count())) == 0)
      throw std::runtime_error(fmt::format("{} printed nothing for {} s", name_, limit.count() / 1000));
    char bytes[4096];
    const ssize_t got = read(output_, bytes, sizeof bytes);
    if (got > 0) buffered_.append(bytes, static_cast<std::size_t>(got));
    if (got == 0) throw std::runtime_error(fmt::format("{} ended without its figures", name_));
  }
}

void ChildProcess::wait(std::chrono::milliseconds limit) {
  const Clock::time_point deadline = Clock::now() + limit;
  while (!reap(false)) {
    if (Clock::now() > deadline)
      throw std::runtime_error(fmt::format("{} did not end within {} s", name_, limit.count() / 1000));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  if (!WIFEXITED(status_) || WEXITSTATUS(status_) != 0)
    throw std::runtime_error(WIFEXITED(status_)
                                 ? fmt::format("{} exited with {}", name_, WEXITSTATUS(status_))
                                 : fmt::format("{} died of signal {}", name_, WTERMSIG(status_)));
}

}  // namespace cutover::bench
