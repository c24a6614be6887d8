#include "runtime/host/ops_http.h"

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <httplib.h>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

#include "runtime/observe/health.h"
#include "runtime/observe/metrics.h"
#include "unit/test_clock.h"

using namespace cutover;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Fixture {
  httplib::Result get(const std::string& path) const {
    return httplib::Client("127.0.0.1", http.port()).Get(path);
  }

  test::TestClock clock;
  Health health{clock};
  Metrics metrics{{{{"search-projector", {"contact"}}}}, {"0.1.0", "abc"}};
  OpsHttp http{health, metrics, "127.0.0.1", 0};
};

}  // namespace

TEST_CASE("/livez and /readyz answer 200 or 503 and name what is wrong", "[ops_http]") {
  Fixture f;
  const Heartbeat loop = f.health.add_loop("engine", 1s);
  f.health.add_check("postgres", 10s);
  CHECK(f.get("/livez")->status == 200);
  CHECK(f.get("/readyz")->status == 503);

  f.health.set_check("postgres", true, "15.8");
  CHECK(f.get("/readyz")->status == 200);

  f.clock.advance(2s);
  const auto live = f.get("/livez");
  CHECK(live->status == 503);
  const auto body = nlohmann::json::parse(live->body);
  CHECK(body["ok"] == false);
  CHECK(body["checks"][0]["name"] == "engine");
  CHECK_THAT(body["checks"][0]["text"].get<std::string>(), ContainsSubstring("no progress for 2.0 s"));
}

TEST_CASE("/metrics is Prometheus text", "[ops_http]") {
  Fixture f;
  f.metrics.lane("search-projector", "contact").applied.add(3);
  const auto answer = f.get("/metrics");
  CHECK(answer->status == 200);
  CHECK(answer->get_header_value("Content-Type") == "text/plain; version=0.0.4; charset=utf-8");
  CHECK_THAT(
      answer->body,
      ContainsSubstring("# TYPE cutover_events_applied_total counter") &&
          ContainsSubstring(R"(cutover_events_applied_total{lane="contact",worker="search-projector"} 3)"));
}

TEST_CASE("another path is told which ones there are", "[ops_http]") {
  Fixture f;
  const auto answer = f.get("/");
  CHECK(answer->status == 404);
  CHECK_THAT(answer->body, ContainsSubstring("/readyz"));
}

TEST_CASE("a taken port and a foreign address are refused with what to do", "[ops_http]") {
  Fixture f;
  CHECK_THROWS_WITH(OpsHttp(f.health, f.metrics, "127.0.0.1", f.http.port()),
                    ContainsSubstring("ops.port") && ContainsSubstring("port 0 takes a free one"));
  CHECK_THROWS_AS(OpsHttp(f.health, f.metrics, "192.0.2.1", 0), OpsHttpError);
}

TEST_CASE("a client that says nothing holds neither the others nor the stop for longer than its timeout",
          "[ops_http]") {
  auto f = std::make_unique<Fixture>();
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(f->http.port()));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  const auto begin = std::chrono::steady_clock::now();
  CHECK(f->get("/livez")->status == 200);
  f.reset();
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  ::close(socket);
}

TEST_CASE("it starts and stops at once, many times", "[ops_http]") {
  test::TestClock clock;
  const Health health(clock);
  const Metrics metrics({}, {});
  for (int i = 0; i < 50; ++i) const OpsHttp http(health, metrics, "127.0.0.1", 0);
}

TEST_CASE("many clients at once are all answered", "[ops_http]") {
  Fixture f;
  std::atomic<int> answered{0};
  {
    std::vector<std::jthread> clients;
    for (int i = 0; i < 16; ++i)
      clients.emplace_back([&] {
        if (const auto answer = f.get("/livez"); answer && answer->status == 200) ++answered;
      });
  }
  CHECK(answered == 16);
}
