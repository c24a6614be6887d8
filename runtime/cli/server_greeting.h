#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace cutover::cli {

// What a NATS server says before anybody logs in: enough to tell "not there" from "not for you".
struct ServerGreeting {
  std::string version;  // 2.9.10
  std::string server_name;
  bool jetstream = false;
  bool auth_required = false;
  bool tls_required = false;
  std::chrono::milliseconds took{0};
};

// Connects to nats://host:port or tls://host:port and reads the greeting, without logging in.
// Throws std::runtime_error: cannot be resolved, refused, silent, not a NATS server.
ServerGreeting greet(std::string_view url, std::chrono::milliseconds timeout);

// -1, 0, 1: "2.9.10" is above "2.9.9". What is behind the numbers ("-beta.1") does not count.
int compare_versions(std::string_view a, std::string_view b);

}  // namespace cutover::cli
