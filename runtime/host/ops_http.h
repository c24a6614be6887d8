#pragma once

#include <memory>
#include <stdexcept>
#include <string>

namespace cutover {

class Health;
class Metrics;

// The HTTP listener could not start; what() says which address and what to do.
class OpsHttpError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Serves GET /livez and /readyz (200 or 503, JSON that names what is wrong) and GET /metrics (Prometheus
// text) from threads of its own, as long as it lives. Answers come from memory: a dependency that hangs
// cannot hang a probe.
class OpsHttp {
 public:
  // bind   IPv4 or IPv6 address
  // port   0 takes a free one
  // throws OpsHttpError when the port is taken or the address is not this machine's
  OpsHttp(const Health& health, const Metrics& metrics, const std::string& bind, int port);
  // Finishes running answers (at most the read timeout, 2 s) and closes the port.
  ~OpsHttp();
  OpsHttp(const OpsHttp&) = delete;
  OpsHttp& operator=(const OpsHttp&) = delete;

  int port() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cutover
