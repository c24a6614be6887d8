#include "runtime/cli/server_greeting.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace cutover::cli;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

// Accepts one connection, says its line, and closes when it is destroyed.
class Greeter {
 public:
  explicit Greeter(std::string line) : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
    ::listen(listener_, 1);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this, text = std::move(line)] {
      connection_ = ::accept(listener_, nullptr, nullptr);
      if (connection_ >= 0 && !text.empty())
        (void)::send(connection_, text.data(), text.size(), MSG_NOSIGNAL);
    });
  }
  ~Greeter() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    if (connection_ >= 0) ::close(connection_);
    ::close(listener_);
  }
  std::string url(const std::string& login = "") const {
    return "nats://" + login + "127.0.0.1:" + std::to_string(port_);
  }

 private:
  int listener_;
  int connection_ = -1;
  int port_ = 0;
  std::jthread thread_;
};

}  // namespace

TEST_CASE("the greeting tells version and features, whatever login the address has", "[greeting]") {
  const Greeter server(
      R"(INFO {"version":"2.9.10","server_name":"n1","jetstream":true,"auth_required":true} )"
      "\r\n");
  const ServerGreeting greeting = greet(server.url("me:secret@"), 2s);
  CHECK(greeting.version == "2.9.10");
  CHECK(greeting.server_name == "n1");
  CHECK(greeting.jetstream);
  CHECK(greeting.auth_required);
  CHECK_FALSE(greeting.tls_required);
}

TEST_CASE("what is not a NATS server is called that", "[greeting]") {
  const Greeter http("HTTP/1.1 400 Bad Request\r\n");
  CHECK_THROWS_WITH(greet(http.url(), 2s), ContainsSubstring("not a NATS server"));
  const Greeter broken("INFO {\"version\":\r\n");
  CHECK_THROWS_WITH(greet(broken.url(), 2s), ContainsSubstring("not a NATS server"));
}

TEST_CASE("a server that says nothing, is not there or has no address is told apart", "[greeting]") {
  const Greeter silent("");
  CHECK_THROWS_WITH(greet(silent.url(), 50ms), ContainsSubstring("no answer in time"));
  CHECK_THROWS_WITH(greet("nats://127.0.0.1:1", 2s), ContainsSubstring("refused"));
  CHECK_THROWS_WITH(greet("nats://no-such-host.invalid:4222", 2s), ContainsSubstring("cannot be resolved"));
}

TEST_CASE("versions compare by number", "[greeting]") {
  CHECK(compare_versions("2.9.10", "2.9.9") == 1);
  CHECK(compare_versions("2.10.0-beta.1", "2.9.25") == 1);
  CHECK(compare_versions("2.9", "2.9.0") == 0);
  CHECK(compare_versions("2.8.4", "2.9.0") == -1);
  CHECK(compare_versions("", "2.9.0") == -1);
}
