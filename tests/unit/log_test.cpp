#include "runtime/observe/log.h"

#include <algorithm>
#include <limits>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "unit/test_clock.h"

using namespace cutover;

namespace {

struct Capture {
  explicit Capture(LogFormat format, LogLevel level = LogLevel::info) : logger(format, level, clock, out) {}

  void write(LogLevel level, std::string_view message, std::vector<LogField> fields = {}) {
    logger.write(level, message, fields);
  }
  nlohmann::json json() const { return nlohmann::json::parse(out.str()); }

  test::TestClock clock;
  std::ostringstream out;
  Logger logger;
};

}  // namespace

TEST_CASE("a JSON line has time in microseconds, level, message and fields with their types", "[log]") {
  Capture log(LogFormat::json);
  log.write(LogLevel::warn, "lane paused",
            {{"worker", "search-projector"},
             {"sequence", std::uint64_t{18'446'744'073'709'551'615U}},
             {"delta", -3},
             {"seconds", 0.25},
             {"redelivered", true}});
  CHECK(
      log.out.str() ==
      R"({"time":"2026-01-02T03:04:05.678901Z","level":"warn","msg":"lane paused","worker":"search-projector",)"
      R"("sequence":18446744073709551615,"delta":-3,"seconds":0.25,"redelivered":true})"
      "\n");
}

TEST_CASE("no text can break a JSON line", "[log]") {
  Capture log(LogFormat::json);
  const std::string nasty("a\"b\\c\nd\te\x1b[31m\x7f\0f", 17);
  log.write(LogLevel::error, nasty, {{"error", nasty}, {"name\"", "x"}});
  const std::string line = log.out.str();
  CHECK(std::count(line.begin(), line.end(), '\n') == 1);
  CHECK(log.json()["msg"] == nasty);
  CHECK(log.json()["error"] == nasty);
  CHECK(log.json()["name\""] == "x");
}

TEST_CASE("bytes that are not UTF-8 are replaced, and what is UTF-8 is kept", "[log]") {
  Capture log(LogFormat::json);
  log.write(LogLevel::info, "m", {{"bad", "caf\xe9"}, {"good", "caf\xc3\xa9"}});
  CHECK(log.json()["bad"] == "caf\xef\xbf\xbd");
  CHECK(log.json()["good"] == "caf\xc3\xa9");
}

TEST_CASE("numbers that JSON does not know become null", "[log]") {
  Capture log(LogFormat::json);
  log.write(
      LogLevel::info, "m",
      {{"a", std::numeric_limits<double>::infinity()}, {"b", std::numeric_limits<double>::quiet_NaN()}});
  CHECK(log.json()["a"].is_null());
  CHECK(log.json()["b"].is_null());
}

TEST_CASE("text for people quotes what has spaces and lets no escape sequence through", "[log]") {
  Capture log(LogFormat::text);
  log.write(LogLevel::info, "batch committed",
            {{"events", 12}, {"error", "two words"}, {"evil", "\x1b[2Jx"}, {"none", ""}});
  const std::string line = log.out.str();
  CHECK(line.ends_with("batch committed  events=12  error=\"two words\"  evil=\"\\u001b[2Jx\"  none=\"\"\n"));
  CHECK(line.find('\x1b') == std::string::npos);
}

TEST_CASE("levels below the logger's are not written", "[log]") {
  Capture log(LogFormat::text, LogLevel::warn);
  log.write(LogLevel::info, "quiet");
  CHECK(log.out.str().empty());
  CHECK_FALSE(log.logger.enabled(LogLevel::debug));
  CHECK(log.logger.enabled(LogLevel::error));
}

TEST_CASE("the process logger is replaced for a scope and then put back", "[log]") {
  Capture outer(LogFormat::text);
  Capture inner(LogFormat::text);
  const ProcessLogger use_outer(outer.logger);
  {
    const ProcessLogger use_inner(inner.logger);
    log_error("inside", {{"n", 1}});
  }
  log_info("outside");
  CHECK(inner.out.str().ends_with("inside  n=1\n"));
  CHECK(outer.out.str().ends_with("outside\n"));
  CHECK(outer.out.str().find("inside") == std::string::npos);
}

TEST_CASE("lines of many threads do not mix", "[log]") {
  Capture log(LogFormat::json);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&log, t] {
        for (int i = 0; i < 500; ++i) log.write(LogLevel::info, "line", {{"thread", t}, {"i", i}});
      });
  }
  std::istringstream lines(log.out.str());
  std::vector<int> next(4, 0);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const auto parsed = nlohmann::json::parse(line);
    CHECK(parsed["i"] == next.at(parsed["thread"])++);
  }
  CHECK(count == 2'000);
}

TEST_CASE("a level is read by its name only", "[log]") {
  CHECK(parse_log_level("warn") == LogLevel::warn);
  CHECK_FALSE(parse_log_level("warning"));
  CHECK_FALSE(parse_log_level(""));
}
