#include "runtime/cli/server_greeting.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace cutover::cli {
namespace {

using Deadline = std::chrono::steady_clock::time_point;

constexpr std::size_t kGreetingBytesMax = 32 * 1024;

struct Endpoint {
  std::string host;
  std::string port = "4222";
};

Endpoint endpoint_of(std::string_view url) {
  if (const auto scheme = url.find("://"); scheme != std::string_view::npos) url.remove_prefix(scheme + 3);
  url = url.substr(0, url.find('/'));
  if (const auto at = url.rfind('@'); at != std::string_view::npos) url.remove_prefix(at + 1);
  Endpoint endpoint;
  const auto bracket = url.find(']');
  const auto colon = url.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    endpoint.port = url.substr(colon + 1);
    url = url.substr(0, colon);
  }
  if (url.starts_with('[') && url.ends_with(']')) url = url.substr(1, url.size() - 2);
  endpoint.host = url;
  return endpoint;
}

class Socket {
 public:
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  ~Socket() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

void wait_for(int descriptor, short events, Deadline deadline) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now())
          .count();
  pollfd entry{descriptor, events, 0};
  if (left <= 0 || ::poll(&entry, 1, static_cast<int>(left)) <= 0)
    throw std::runtime_error("no answer in time");
}

void connect_to(int descriptor, const addrinfo& address, Deadline deadline) {
  if (::connect(descriptor, address.ai_addr, address.ai_addrlen) == 0) return;
  if (errno != EINPROGRESS) throw std::runtime_error(std::strerror(errno));
  wait_for(descriptor, POLLOUT, deadline);
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) throw std::runtime_error(std::strerror(error));
}

std::string first_line(int descriptor, Deadline deadline) {
  std::string text;
  while (text.find('\n') == std::string::npos) {
    wait_for(descriptor, POLLIN, deadline);
    char bytes[4'096];
    const ssize_t count = ::recv(descriptor, bytes, sizeof bytes, 0);
    if (count <= 0) throw std::runtime_error("the connection was closed at once");
    text.append(bytes, static_cast<std::size_t>(count));
    if (text.size() > kGreetingBytesMax) break;
  }
  return text.substr(0, text.find_first_of("\r\n"));
}

ServerGreeting parse(std::string_view line) {
  if (!line.starts_with("INFO ")) throw std::runtime_error("what answers is not a NATS server");
  const auto info = nlohmann::json::parse(line.substr(5), nullptr, false);
  if (!info.is_object()) throw std::runtime_error("what answers is not a NATS server");
  ServerGreeting greeting;
  greeting.version = info.value("version", "");
  greeting.server_name = info.value("server_name", "");
  greeting.jetstream = info.value("jetstream", false);
  greeting.auth_required = info.value("auth_required", false);
  greeting.tls_required = info.value("tls_required", false);
  return greeting;
}

}  // namespace

ServerGreeting greet(std::string_view url, std::chrono::milliseconds timeout) {
  const Deadline begin = std::chrono::steady_clock::now();
  const Deadline deadline = begin + timeout;
  const Endpoint endpoint = endpoint_of(url);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(endpoint.host.c_str(), endpoint.port.c_str(), &hints, &found);
      error != 0)
    throw std::runtime_error(fmt::format("the name cannot be resolved: {}", ::gai_strerror(error)));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);

  std::string trouble;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    try {
      const Socket socket(::socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      if (socket.get() < 0) throw std::runtime_error(std::strerror(errno));
      connect_to(socket.get(), *address, deadline);
      ServerGreeting greeting = parse(first_line(socket.get(), deadline));
      greeting.took =
          std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
      return greeting;
    } catch (const std::runtime_error& error) {
      trouble = error.what();
    }
  }
  throw std::runtime_error(trouble);
}

int compare_versions(std::string_view a, std::string_view b) {
  for (int part = 0; part < 3; ++part) {
    int x = 0;
    int y = 0;
    const auto end_a = std::from_chars(a.data(), a.data() + a.size(), x).ptr;
    const auto end_b = std::from_chars(b.data(), b.data() + b.size(), y).ptr;
    if (x != y) return x < y ? -1 : 1;
    a.remove_prefix(std::min(a.size(), static_cast<std::size_t>(end_a - a.data()) + 1));
    b.remove_prefix(std::min(b.size(), static_cast<std::size_t>(end_b - b.data()) + 1));
  }
  return 0;
}

}  // namespace cutover::cli
