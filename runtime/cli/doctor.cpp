#include "runtime/cli/doctor.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "runtime/cli/commands.h"

namespace cutover::cli {
namespace {

using State = Check::State;

constexpr std::string_view kStates[] = {"ok", "warn", "fail", "skipped"};
constexpr Tone kTones[] = {Tone::good, Tone::warn, Tone::bad, Tone::dim};

std::string_view name_of(State state) {
  return kStates[static_cast<int>(state)];
}

// Empty when the address can be bound, else why not.
std::string bind_trouble(const std::string& host, std::uint16_t port) {
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  const bool is_v4 = ::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1;
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  ::inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  const int socket = ::socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  const auto* address =
      is_v4 ? reinterpret_cast<const sockaddr*>(&v4) : reinterpret_cast<const sockaddr*>(&v6);
  const int result = ::bind(socket, address, is_v4 ? sizeof v4 : sizeof v6);
  const std::string trouble = result == 0 ? "" : std::strerror(errno);
  ::close(socket);
  return trouble;
}

int run_doctor(const Shell& shell) {
  const LoadedSettings loaded = shell.load_settings();
  std::vector<Check> checks;
  for (auto* part : {&check_postgres, &check_broker, &check_machine}) {
    auto more = part(loaded.values);
    std::move(more.begin(), more.end(), std::back_inserter(checks));
  }
  const auto failed =
      std::count_if(checks.begin(), checks.end(), [](const Check& c) { return c.state == State::fail; });
  const auto warned =
      std::count_if(checks.begin(), checks.end(), [](const Check& c) { return c.state == State::warn; });

  Output out = shell.output();
  if (out.json()) {
    Json document = {{"ok", failed == 0}, {"checks", Json::array()}};
    for (const Check& check : checks)
      document["checks"].push_back({{"name", check.name},
                                    {"state", name_of(check.state)},
                                    {"found", check.found},
                                    {"do", check.what_to_do}});
    out.document(document);
    return failed == 0 ? kFine : kDifferent;
  }
  std::vector<std::vector<Cell>> rows;
  for (const Check& check : checks)
    rows.push_back({Cell(std::string(name_of(check.state)), kTones[static_cast<int>(check.state)]),
                    check.name, check.found});
  out.table({"", "check", "found"}, rows);
  for (const Check& check : checks)
    if (!check.what_to_do.empty())
      out.line(fmt::format("{} {}", out.paint(check.name + ":", kTones[static_cast<int>(check.state)]),
                           check.what_to_do));
  out.line(failed == 0
               ? fmt::format("Nothing failed; {}.", counted(static_cast<std::uint64_t>(warned), "warning"))
               : fmt::format("{} of {} failed.", failed, counted(checks.size(), "check")));
  return failed == 0 ? kFine : kDifferent;
}

}  // namespace

Check clock_check(const std::string& name, const std::string& theirs, std::chrono::microseconds ahead) {
  const double seconds = std::chrono::duration<double>(ahead).count();
  Check check{name, State::ok, fmt::format("{} is {:+.3f} s from this machine's", theirs, seconds), ""};
  if (std::abs(seconds) < 1) return check;
  check.state = std::abs(seconds) < 60 ? State::warn : State::fail;
  check.what_to_do =
      "Synchronise the clocks (NTP): timers, horizons and latencies are read from them. Order and ownership "
      "are not.";
  return check;
}

std::vector<Check> check_machine(const Settings& settings) {
  const auto& [bind, port] = settings.ops;
  Check check{"ops port", State::ok, fmt::format("{} port {}{}", bind, port, port == 0 ? ", a free one" : ""),
              ""};
  if (const std::string trouble = bind_trouble(bind, static_cast<std::uint16_t>(port)); !trouble.empty()) {
    check.state = State::warn;
    check.found += ": " + trouble;
    check.what_to_do =
        "Fine when a worker of this machine holds it; otherwise choose another ops.bind or ops.port.";
  }
  return {check};
}

void add_doctor(Shell& shell) {
  shell.add(shell.app(), "doctor", "Check servers, versions, permissions, schema, topology and clocks",
            "cutover doctor --json", [&shell] { return run_doctor(shell); });
}

}  // namespace cutover::cli
