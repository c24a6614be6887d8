#include "runtime/host/ops_http.h"

#include <sys/socket.h>

#include <thread>

#include <fmt/format.h>
#include <httplib.h>
#include <nlohmann/json.hpp>

#include "runtime/observe/health.h"
#include "runtime/observe/metrics.h"

namespace cutover {
namespace {

// Enough for a scraper, two probes and a person; a slow client holds a thread for the timeout at most.
constexpr std::size_t kThreads = 4;
constexpr time_t kTimeoutSeconds = 2;
constexpr std::size_t kRequestBytesMax = 1'024;

void answer(httplib::Response& response, const Health::Report& report) {
  nlohmann::ordered_json body;
  body["ok"] = report.ok;
  body["checks"] = nlohmann::ordered_json::array();
  for (const Health::Line& line : report.lines)
    body["checks"].push_back({{"name", line.name}, {"ok", line.ok}, {"text", line.text}});
  response.status = report.ok ? 200 : 503;
  response.set_content(body.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n",
                       "application/json");
}

}  // namespace

struct OpsHttp::State {
  httplib::Server server;
  int port = 0;
  std::jthread listener;
};

OpsHttp::OpsHttp(const Health& health, const Metrics& metrics, const std::string& bind, int port)
    : state_(std::make_unique<State>()) {
  httplib::Server& server = state_->server;
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };  // the server deletes it
  server.set_read_timeout(kTimeoutSeconds);
  server.set_write_timeout(kTimeoutSeconds);
  server.set_keep_alive_max_count(1);
  server.set_keep_alive_timeout(kTimeoutSeconds);  // also the wait for the first byte
  server.set_payload_max_length(kRequestBytesMax);
  // The library's own choice, SO_REUSEPORT, would let two processes share one port without a word.
  server.set_socket_options([](socket_t socket) {
    const int yes = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });

  server.Get("/livez",
             [&health](const httplib::Request&, httplib::Response& r) { answer(r, health.live()); });
  server.Get("/readyz",
             [&health](const httplib::Request&, httplib::Response& r) { answer(r, health.ready()); });
  server.Get("/metrics", [&metrics](const httplib::Request&, httplib::Response& r) {
    r.set_content(metrics.text(), "text/plain; version=0.0.4; charset=utf-8");
  });
  server.set_error_handler([](const httplib::Request&, httplib::Response& r) {
    if (r.status == 404) r.set_content("There are /livez, /readyz and /metrics.\n", "text/plain");
  });

  state_->port = port != 0 && server.bind_to_port(bind, port) ? port
                 : port == 0                                  ? server.bind_to_any_port(bind)
                                                              : -1;
  if (state_->port <= 0)
    throw OpsHttpError(
        fmt::format("cannot listen on {} port {}: the port is taken, or the address is not one of this "
                    "machine (ops.bind, ops.port). Do: choose another; port 0 takes a free one.",
                    bind, port));
  state_->listener = std::jthread([&server] { server.listen_after_bind(); });
  // `stop` does nothing before the listener runs; wait for it here, so that an early stop is not lost.
  while (!server.is_running()) std::this_thread::yield();
}

OpsHttp::~OpsHttp() {
  state_->server.stop();
}

int OpsHttp::port() const {
  return state_->port;
}

}  // namespace cutover
