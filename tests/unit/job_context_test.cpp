#include "runtime/host/job_context.h"

#include <algorithm>
#include <sstream>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "runtime/observe/log.h"
#include "unit/test_clock.h"

using namespace cutover;
using namespace std::chrono_literals;

namespace {

struct Fixture {
  // The last line that was logged.
  nlohmann::json logged() const {
    std::string text = out.str();
    text.pop_back();
    return nlohmann::json::parse(text.substr(text.rfind('\n') + 1));
  }

  test::TestClock clock;
  std::ostringstream out;
  Logger logger{LogFormat::json, LogLevel::info, clock, out};
  ProcessLogger process{logger};
  Settings settings;
  Metrics metrics{MetricBounds{{{"w", {"lane"}, {"batch"}}}}, BuildInfo{}};
  HostJobContext context{
      {settings, "w", "batch", "i", "b", clock, [] { return std::uint64_t{4}; }, metrics, false, [] {}, {}}};
  JobMetrics& job = metrics.job("w", "batch");
};

}  // namespace

TEST_CASE("a job's phase, how far it is and when it ends are in the metrics and in the log", "[job]") {
  Fixture f;
  f.context.report({"reading", 1, 0, 0});
  CHECK(f.job.phase.value() == 1);
  CHECK(f.job.eta_seconds.value() == -1);
  f.clock.advance(100s);
  f.context.report({"reading", 1, 100, 1000});  // from here on it counts
  CHECK(f.job.eta_seconds.value() == -1);
  f.clock.advance(10s);
  f.context.report({"reading", 1, 400, 1000});
  CHECK(f.job.done.value() == 400);
  CHECK(f.job.total.value() == 1000);
  CHECK(f.job.eta_seconds.value() == 20);
  const auto line = f.logged();
  CHECK(line["msg"] == "job");
  CHECK(line["phase"] == "reading");
  CHECK(line["done"] == 400);
  CHECK(line["eta_seconds"] == 20);
  f.context.report({"computing", 2, 0, 2});
  CHECK(f.job.eta_seconds.value() == -1);
  f.clock.advance(3s);
  f.context.report({"computing", 2, 1, 2});
  CHECK(f.job.eta_seconds.value() == 3);
  f.context.report({"idle", 0, 0, 0});
  CHECK(f.job.phase.value() == 0);
  CHECK(f.job.eta_seconds.value() == -1);
}

TEST_CASE("a job that goes on for long logs every ten seconds", "[job]") {
  Fixture f;
  for (int second = 0; second <= 30; ++second) {
    f.context.report({"reading", 1, static_cast<std::uint64_t>(second), 100});
    f.clock.advance(1s);
  }
  const std::string text = f.out.str();
  CHECK(std::count(text.begin(), text.end(), '\n') == 4);
}
